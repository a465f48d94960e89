// Buttons within written HTML: those with data-do ask for something, those with data-module choose a module. Within a
// picture's cells one is a tab stop, and arrows move to the nearest.
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button || button.disabled) return;
  if (button.dataset.do) trigger('act', { do: button.dataset.do, at: Number(button.dataset.at) });
  else if (button.dataset.module !== undefined) trigger('select', { module: button.dataset.module });
});

const centre = (button) => {
  const box = button.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
};
element.addEventListener('keydown', (event) => {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const from = event.target.closest('.bp-map-cell');
  if (!way || !from) return;
  event.preventDefault();
  const [x, y] = centre(from);
  let best = null;
  for (const button of from.parentElement.querySelectorAll('.bp-map-cell')) {
    const [dx, dy] = centre(button).map((at, axis) => at - [x, y][axis]);
    const [ahead, aside] = way[0] ? [dx * way[0], Math.abs(dy)] : [dy * way[1], Math.abs(dx)];
    if (ahead > 4 && (!best || ahead + 9 * aside < best.far)) best = { button, far: ahead + 9 * aside };
  }
  if (!best) return;
  from.tabIndex = -1;
  best.button.tabIndex = 0;
  best.button.focus();
});

// the tree tells which module is chosen
const mark = () => {
  for (const button of element.querySelectorAll('.bp-map-cell')) {
    button.setAttribute('aria-pressed', String(button.dataset.module === window.bertprune.module));
  }
};
document.addEventListener('bertprune-module', mark);
watch('value', mark);
mark();
