// Brings what a visitor does to the server by one of its events, and hands the state of each answer to the page.
const EVENTS = ['act', 'late', 'open', 'work', 'search', 'measure', 'stop', 'file', 'fail'];
window.bertprune.trigger = (via, asked) => { if (EVENTS.includes(via)) trigger(via, asked); };
watch('value', () => window.bertprune.answered(props.value));
