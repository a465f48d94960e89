// The page's language, its views, what a tab remembers of its visit, and whether what is drawn is in order.
window.bertprune = {
  number: 0,
  version: null,
  module: null,
  moves: 0, // how often the visitor, and not an answer, went to another view
  store(name, value) {
    try { sessionStorage.setItem(name, JSON.stringify(value)); } catch { /* private windows */ }
  },
  read(name) {
    try { return JSON.parse(sessionStorage.getItem(name)); } catch { return null; }
  },
  // What is asked for is numbered, so that the server does it in this order.
  numbered(values) {
    this.number += 1;
    return [this.number, ...values.slice(1, 2)];
  },
  send(via, asked = {}) {
    if (via === 'stop') return this.trigger?.(via, { before: this.number });
    const n = ['act', 'open', 'work', 'search', 'file'].includes(via) ? (this.number += 1) : undefined;
    this.trigger?.(via, n === undefined ? asked : { ...asked, n, moves: this.moves });
  },
  begin: async () => {
    const page = window.bertprune;
    let chosen = null;
    try { chosen = localStorage.getItem('bertprune-language'); } catch { /* private windows */ }
    const language = (chosen || navigator.language || 'en').toLowerCase().startsWith('ko') ? 'ko' : 'en';
    await page.speak(language);
    page.number += 1;
    return [page.number, JSON.stringify({ language, kept: page.read('bertprune-visit') })];
  },
  // Gradio's own labels change with its locale.
  async speak(language) {
    const loaded = performance.getEntriesByType('resource').map((entry) => entry.name);
    const core = loaded.find((name) => /\/assets\/core-[\w-]+\.js/.test(name));
    if (core) (await import(core)).changeLocale?.(language);
    document.documentElement.lang = language;
  },
  // An answer that is older than what is shown, or that does not follow it, has everything drawn anew.
  answered(state) {
    if (!state) return;
    if (state.failed) { this.send('fail'); return; }
    const { from, to, at } = state;
    if (state.begins) this.version = null; // a visit of its own, which counts from the start
    const follows = from === null || from === this.version || to === this.version;
    if (to !== undefined) {
      if (!follows || (this.version !== null && to < this.version)) { this.send('act', { do: 'redraw' }); return; }
      this.version = to;
      if (state.kept) this.store('bertprune-visit', state.kept);
      if (state.language !== document.documentElement.lang) {
        try { localStorage.setItem('bertprune-language', state.language); } catch { /* private windows */ }
        this.speak(state.language);
      }
      if (state.moves === this.moves) { // who has gone elsewhere meanwhile stays there
        if (state.go) this.go(state.go);
        if (state.ready) this.send('act', { do: 'run', run: state.ready });
      }
      if (state.measure) setTimeout(() => this.send('measure'), 100); // not before the last one is over
    } else if (at !== undefined && at !== this.version) {
      this.send('act', { do: 'redraw' });
      return;
    }
    if (state.late?.length) this.send('late', { parts: state.late });
    requestAnimationFrame(() => { this.show(); this.restore?.(); this.marked?.(); });
  },
  // Each view has its own address, so that Back returns to the one before.
  go(panel) {
    if (location.hash !== '#' + panel) location.hash = this.taken = '#' + panel;
    window.scrollTo({ top: 0 });
  },
  show() {
    const wanted = location.hash.slice(1);
    const panel = this.panels.includes(wanted) ? wanted : this.panels[0];
    document.body.dataset.panel = panel;
    for (const link of document.querySelectorAll('.bp-nav a')) {
      if (link.dataset.panel === panel) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
    }
  },
  // A link that Gradio draws may still lead nowhere, or to the file before this one.
  save: (file) => {
    const link = document.createElement('a');
    link.href = file.url;
    link.download = file.orig_name;
    link.click();
    return [];
  },
};
window.addEventListener('hashchange', () => {
  const page = window.bertprune;
  if (location.hash !== page.taken) page.moves += 1;
  page.taken = null;
  page.show();
});
document.addEventListener('DOMContentLoaded', () => window.bertprune.show());
