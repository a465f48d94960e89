// Roles × layers to select: one tab stop, arrows move, a click or the space bar switches a cell; the headers of rows and
// columns switch all of their cells. Row 0 and column 0 are the headers. Names are set as text only.
const data = () => props.value || { rows: [], layers: [], on: [], text: {} };
const same = (one, other) => one[0] === other[0] && one[1] === other[1];
let focus = [1, 1];

function covered(row, column) {
  const value = data();
  const inRow = (entry) => (entry.layers.length ? entry.layers : [null]).map((layer) => [entry.role, layer]);
  if (!row && !column) return value.rows.flatMap(inRow);
  if (!row) return value.rows.flatMap(inRow).filter((cell) => cell[1] === value.layers[column - 1]);
  const cells = inRow(value.rows[row - 1]);
  return !column || cells[0][1] === null ? cells : cells.filter((cell) => cell[1] === value.layers[column - 1]);
}
const isOn = (cells) => cells.length > 0 && cells.every((cell) => data().on.some((other) => same(cell, other)));
function toggle(row, column) {
  const cells = covered(row, column);
  if (!cells.length) return;
  const rest = data().on.filter((other) => !cells.some((cell) => same(cell, other)));
  props.value = { ...data(), on: isOn(cells) ? rest : [...rest, ...cells] };
}

function make(name, role, row, column, label, text) {
  const cell = document.createElement(name);
  const cells = covered(row, column);
  cell.setAttribute('role', role);
  cell.dataset.at = `${row},${column}`;
  if (cells.length) {
    cell.setAttribute('aria-selected', String(isOn(cells)));
    cell.setAttribute('aria-label', label);
    cell.title = label;
    cell.tabIndex = row === focus[0] && column === focus[1] ? 0 : -1;
  }
  cell.textContent = text;
  return cell;
}
function line(...cells) {
  const row = document.createElement('tr');
  row.setAttribute('role', 'row');
  row.append(...cells);
  return row;
}
function body(entry, row) {
  const { layers, text } = data();
  const header = make('th', 'rowheader', row, 0, `${entry.role}, ${text.every}`, entry.role);
  header.scope = 'row';
  if (!entry.layers.length) {
    const cell = make('td', 'gridcell', row, 1, `${entry.role}, ${text.outside}`, '');
    cell.colSpan = Math.max(1, layers.length);
    return line(header, cell);
  }
  return line(header, ...layers.map((layer, at) => make('td', 'gridcell', row, at + 1, `${entry.role}, ${text.layer} ${layer}`, '')));
}
function draw(refocus) {
  const { rows, layers, text } = data();
  const table = element.querySelector('table');
  if (!table) return;
  table.setAttribute('aria-label', text.grid || 'grid');
  if (!reach(...focus)) focus = [1, 1];
  const all = make('th', 'columnheader', 0, 0, text.all, text.all);
  all.className = 'all';
  const tops = layers.map((layer, at) => make('th', 'columnheader', 0, at + 1, `${text.layer} ${layer}, ${text.roles}`, String(layer)));
  table.replaceChildren(line(all, ...tops), ...rows.map((entry, at) => body(entry, at + 1)));
  element.querySelector('.info').textContent = text.info || '';
  if (refocus) table.querySelector('[tabindex="0"]')?.focus();
}
function reach(row, column) {
  const { rows, layers } = data();
  return row >= 0 && column >= 0 && row <= rows.length && column <= Math.max(1, layers.length) && covered(row, column).length > 0;
}
function move(down, right) {
  let [y, x] = [focus[0] + down, focus[1] + right];
  const { rows, layers } = data();
  while (y >= 0 && x >= 0 && y <= rows.length && x <= layers.length) {
    if (reach(y, x)) {
      focus = y && x && !rows[y - 1].layers.length ? [y, 1] : [y, x];
      return;
    }
    [y, x] = [y + down, x + right];
  }
}
const place = (target) => {
  const cell = target.closest('[aria-selected]');
  return cell ? cell.dataset.at.split(',').map(Number) : null;
};

element.addEventListener('click', (event) => {
  const found = place(event.target);
  if (!found) return;
  focus = found;
  toggle(...found);
  draw(true);
});
element.addEventListener('keydown', (event) => {
  const steps = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };
  if (steps[event.key]) move(...steps[event.key]);
  else if (event.key === 'Home') focus = [focus[0], 0];
  else if (event.key === 'End') focus = [focus[0], Math.max(1, data().layers.length)];
  else if (event.key === ' ' || event.key === 'Enter') toggle(...focus);
  else return;
  event.preventDefault();
  draw(true);
});
watch('value', () => draw(element.contains(document.activeElement)));
draw(false);
