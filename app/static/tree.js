// The module tree: flat rows with levels, one tab stop, the keys of the ARIA tree pattern. Names are set as text only.
const memory = { open: new Set(['']), query: '', focus: null, model: null };

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const data = () => props.value || { nodes: [], selected: null, text: {} };
const idOf = (node) => (node.g ? 'group:' : 'module:') + node.p;

function matches(node, query) {
  if (!query) return true;
  const own = !node.g && (node.p + ' ' + node.t).toLowerCase().includes(query);
  return own || (node.k || []).some((child) => matches(child, query));
}
function opened(node, query) {
  return memory.open.has(idOf(node)) || (query && (node.k || []).some((child) => matches(child, query)));
}
function visible(nodes, level, query, out) {
  for (const node of nodes) {
    if (!matches(node, query)) continue;
    const open = (node.k || []).length > 0 && opened(node, query);
    out.push({ node, level, open });
    if (open) visible(node.k, level + 1, query, out);
  }
  return out;
}
function everyParent(nodes, out = []) {
  for (const node of nodes) if ((node.k || []).length) { out.push(idOf(node)); everyParent(node.k, out); }
  return out;
}
function openTo(nodes, path) {
  for (const node of nodes) {
    if (!node.g && node.p === path) return true;
    if ((node.k || []).length && openTo(node.k, path)) { memory.open.add(idOf(node)); return true; }
  }
  return false;
}

function bar(node) {
  if (node.m === null || node.m === undefined) return '';
  const fill = make('span', { class: 'fill', style: `width:${Math.min(100, node.m * 100).toFixed(1)}%` });
  return make('span', { class: 'bar', title: (node.m * 100).toFixed(2) + ' %' }, fill);
}
function row({ node, level, open }, focused) {
  const value = data();
  const inner = (node.k || []).length > 0;
  const id = idOf(node);
  const selected = !node.g && node.p === value.selected;
  const sparsity = node.m ? `, ${value.text.sparsity} ${(node.m * 100).toFixed(1)} %` : '';
  const item = make('div', {
    role: 'treeitem', class: 'row' + (selected ? ' selected' : '') + (node.g ? ' group' : ''),
    'aria-level': level, 'aria-selected': String(selected), 'aria-expanded': inner ? String(open) : null,
    'aria-label': `${node.n} ${node.t}, ${node.f}${sparsity}`,
    tabindex: id === focused ? '0' : '-1', 'data-id': id, style: `padding-left:${(level - 1) * 14 + 4}px`,
  });
  item.append(
    make('span', { class: 'twist', 'aria-hidden': 'true' }, inner ? (open ? '▾' : '▸') : ''),
    make('span', { class: 'name' }, node.n), make('span', { class: 'type' }, node.t), bar(node),
    make('span', { class: 'size' }, node.c ? node.f : ''),
  );
  return item;
}

let shown = [];
function draw(refocus) {
  const value = data();
  if (window.bertprune.module !== value.selected) {
    window.bertprune.module = value.selected;
    document.dispatchEvent(new CustomEvent('bertprune-module'));
  }
  const tools = element.querySelector('.tools');
  const list = element.querySelector('[role=tree]');
  if (!tools || !list) return;
  const show = element.querySelector('.show');
  const open = show.getAttribute('aria-expanded') === 'true';
  show.textContent = `${open ? '▾' : '▸'} ${value.text.tree || ''}: ${value.selected || value.text.root || ''}`;
  const search = tools.querySelector('input');
  search.placeholder = value.text.search || '';
  search.setAttribute('aria-label', value.text.search || 'search');
  const [expand, fold] = tools.querySelectorAll('button');
  expand.textContent = value.text.expand || '+';
  fold.textContent = value.text.fold || '−';
  list.setAttribute('aria-label', value.text.tree || 'modules');
  const query = memory.query.trim().toLowerCase();
  shown = visible(value.nodes, 1, query, []);
  if (!shown.some((entry) => idOf(entry.node) === memory.focus)) {
    const chosen = shown.find((entry) => !entry.node.g && entry.node.p === value.selected) || shown[0];
    memory.focus = chosen ? idOf(chosen.node) : null;
  }
  const top = list.scrollTop;
  list.replaceChildren(...shown.map((entry) => row(entry, memory.focus)));
  list.scrollTop = top;
  element.querySelector('.none').textContent = shown.length || !value.nodes.length ? '' : value.text.none;
  if (refocus) list.querySelector(`[data-id="${CSS.escape(memory.focus)}"]`)?.focus();
}
function toggle(entry, open) {
  const id = idOf(entry.node);
  if (open === undefined ? memory.open.has(id) : !open) memory.open.delete(id); else memory.open.add(id);
}
function choose(entry) {
  if (entry.node.g) { toggle(entry); return; }
  openTo(data().nodes, entry.node.p);
  props.value = { ...data(), selected: entry.node.p };
  window.bertprune.send('act', { do: 'module', module: entry.node.p });
}
function at(target) {
  const item = target.closest('[role=treeitem]');
  return item ? shown.findIndex((entry) => idOf(entry.node) === item.dataset.id) : -1;
}

element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button?.matches('.show')) {
    button.setAttribute('aria-expanded', String(button.getAttribute('aria-expanded') !== 'true'));
    draw(false);
    return;
  }
  if (button) {
    memory.open = new Set(button.dataset.act === 'expand' ? everyParent(data().nodes) : ['module:']);
    draw(false);
    return;
  }
  const index = at(event.target);
  if (index < 0) return;
  const entry = shown[index];
  memory.focus = idOf(entry.node);
  if (event.target.closest('.twist')) toggle(entry); else choose(entry);
  draw(true);
});
element.addEventListener('input', (event) => {
  if (!event.target.matches('.tools input')) return;
  memory.query = event.target.value;
  draw(false);
});
element.addEventListener('keydown', (event) => {
  const index = at(event.target);
  if (index < 0) return;
  const entry = shown[index];
  const inner = (entry.node.k || []).length > 0;
  let next = index;
  if (event.key === 'ArrowDown') next = Math.min(index + 1, shown.length - 1);
  else if (event.key === 'ArrowUp') next = Math.max(index - 1, 0);
  else if (event.key === 'Home') next = 0;
  else if (event.key === 'End') next = shown.length - 1;
  else if (event.key === 'ArrowRight') { if (inner && !entry.open) toggle(entry, true); else if (inner) next = index + 1; }
  else if (event.key === 'ArrowLeft') {
    if (inner && entry.open) toggle(entry, false);
    else while (next > 0 && shown[next].level >= entry.level) next -= 1;
  } else if (event.key === 'Enter' || event.key === ' ') choose(entry);
  else return;
  event.preventDefault();
  memory.focus = idOf(shown[next].node);
  draw(true);
});

function refresh() {
  const value = data();
  if (memory.model !== value.model) {
    memory.model = value.model;
    memory.open = new Set(value.nodes.map(idOf));
    memory.query = '';
    memory.focus = null;
    const search = element.querySelector('.tools input');
    if (search) search.value = '';
  }
  if (value.selected !== null && value.selected !== undefined) openTo(value.nodes, value.selected);
  draw(element.querySelector('[role=tree]')?.contains(document.activeElement));
}
watch('value', refresh);
refresh();
