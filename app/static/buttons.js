// Buttons within written HTML: those with data-do ask for something, those with data-module choose a module.
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button || button.disabled) return;
  if (button.dataset.do) trigger('act', { do: button.dataset.do, at: Number(button.dataset.at) });
  else if (button.dataset.module !== undefined) trigger('select', { module: button.dataset.module });
});
