// What the written HTML asks for: buttons with data-via and data-do, fields with data-set or data-choose, switches with
// data-toggle. What is typed and where the focus is stays when a part is drawn again.
{
  const page = window.bertprune;
  const typed = new Map();
  let focus = null;
  let waiting = null; // the field that is being typed in, and the clock until it is sent

  const card = (element) => Number(element.closest('[data-card]')?.dataset.card);
  const fieldsOf = (element) => {
    const values = {};
    for (const one of element.closest('[data-form]')?.querySelectorAll('[name]') ?? []) {
      values[one.name] = one.type === 'checkbox' ? one.checked : one.value;
    }
    return values;
  };
  const ask = (button) => {
    const { via, do: what, key, ...data } = button.dataset;
    page.send(via, { ...fieldsOf(button), ...data, do: what });
  };
  const toggle = (button) => {
    const on = button.getAttribute('aria-pressed') ? button.getAttribute('aria-pressed') !== 'true' : button.checked;
    if (button.hasAttribute('aria-pressed')) button.setAttribute('aria-pressed', String(on));
    const value = { of: JSON.parse(button.dataset.of), on };
    page.send('act', { do: 'set', card: card(button), name: button.dataset.toggle, value });
  };
  const change = (field) => {
    clearTimeout(waiting?.clock);
    waiting = null;
    const value = field.type === 'checkbox' ? field.checked : field.value;
    if (field.dataset.set !== undefined) page.send('act', { do: 'set', card: card(field), name: field.name, value });
    else page.send('act', { do: field.dataset.choose, name: field.dataset.choose === 'preset' ? value : field.name, value });
  };
  let order = null; // by which column the runs are sorted, and whether downwards
  const sort = (button) => {
    const head = button.closest('th');
    order = { at: head.cellIndex, down: head.getAttribute('aria-sort') !== 'descending' };
    for (const one of head.parentElement.cells) one.removeAttribute('aria-sort');
    arrange();
  };
  const arrange = () => {
    const table = document.querySelector('.bp-runs table');
    const head = order && table?.tHead.rows[0].cells[order.at];
    if (!head || head.hasAttribute('aria-sort')) return;
    head.setAttribute('aria-sort', order.down ? 'descending' : 'ascending');
    const value = (row) => (order.down ? -1 : 1) * Number(row.cells[order.at].dataset.value ?? -1);
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((one, other) => value(one) - value(other)));
  };

  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('button, input[data-toggle]');
    if (!button || button.getAttribute('aria-disabled') === 'true') return;
    if (button.dataset.toggle) toggle(button);
    else if (button.dataset.sort) sort(button);
    else if (button.dataset.via) {
      if (waiting) change(waiting.field);
      ask(button);
    }
  });
  const isField = (element) => element.matches?.('[data-set], [data-choose]');
  document.addEventListener('change', (event) => { if (isField(event.target)) change(event.target); });
  document.addEventListener('input', (event) => {
    const field = event.target;
    if (field.dataset?.key) typed.set(field.dataset.key, field.value);
    if (!isField(field) || field.tagName === 'SELECT' || field.type === 'checkbox') return;
    clearTimeout(waiting?.clock);
    waiting = { field, clock: setTimeout(() => change(field), 250) };
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && event.target.matches?.('[data-form] input')) {
      event.target.closest('[data-form]').querySelector('.bp-button')?.click();
      return;
    }
    move(event);
  });
  document.addEventListener('focusin', (event) => {
    const key = event.target.dataset?.key;
    focus = key ? { key, from: event.target } : null;
  });

  const opened = new Set();
  document.addEventListener('toggle', ({ target }) => {
    if (target.dataset?.key) opened[target.open ? 'add' : 'delete'](target.dataset.key);
  }, true);

  // Where a part was drawn again, what was unfolded and sorted is so again; and under the focus, the same field or
  // button has it again, with what was typed.
  page.restore = () => {
    arrange();
    for (const box of document.querySelectorAll('details[data-key]')) box.open = box.open || opened.has(box.dataset.key);
    if (!focus || focus.from.isConnected || (document.activeElement && document.activeElement !== document.body)) return;
    const again = document.querySelector(`[data-key="${CSS.escape(focus.key)}"]`);
    if (!again) return;
    if (typed.has(focus.key) && again.value !== undefined && again.matches('input:not([type=checkbox]), textarea')) {
      again.value = typed.get(focus.key);
    }
    again.focus({ preventScroll: true });
    focus = { key: focus.key, from: again };
  };

  // Within a picture's cells and a grid of switches, arrows move to the nearest.
  const centre = (button) => {
    const box = button.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  function move(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const from = event.target.closest?.('.bp-map-cell, .bp-switch');
    if (!way || !from) return;
    event.preventDefault();
    const [x, y] = centre(from);
    const kind = from.matches('.bp-switch') ? '.bp-switch' : '.bp-map-cell';
    let best = null;
    for (const button of from.closest('.bp-map, .bp-cells, .bp-switches').querySelectorAll(kind)) {
      const [dx, dy] = centre(button).map((at, axis) => at - [x, y][axis]);
      const [ahead, aside] = way[0] ? [dx * way[0], Math.abs(dy)] : [dy * way[1], Math.abs(dx)];
      if (ahead > 4 && (!best || ahead + 9 * aside < best.far)) best = { button, far: ahead + 9 * aside };
    }
    if (!best) return;
    from.tabIndex = -1;
    best.button.tabIndex = 0;
    best.button.focus();
  }

  // The tree tells which module is chosen.
  const mark = () => {
    for (const button of document.querySelectorAll('.bp-map-cell')) {
      button.setAttribute('aria-pressed', String(button.dataset.module === page.module));
    }
  };
  document.addEventListener('bertprune-module', mark);
  page.marked = mark;
}
