// The page's language, what a tab remembers of its session, and the browser's Back button.
window.bertprune = {
  key: 'bertprune-language',
  visit: 'bertprune-visit',
  chosen() {
    try { return localStorage.getItem(this.key); } catch { return null; }
  },
  async change(language) {
    const loaded = performance.getEntriesByType('resource').map((entry) => entry.name);
    const core = loaded.find((name) => /\/assets\/core-[\w-]+\.js/.test(name));
    if (core) (await import(core)).changeLocale?.(language);
    document.documentElement.lang = language;
  },
  // A tab continues its own session; a new one begins with the last recipe, but not with another tab's run or upload.
  own(last) {
    try {
      const own = JSON.parse(sessionStorage.getItem(this.visit));
      if (own) return own;
    } catch { /* private windows */ }
    return { ...last, run: null, upload: null, texts: null };
  },
  begun: false,
  keep: (kept) => {
    // what the page reports first may come from another tab
    if (window.bertprune.begun) try { sessionStorage.setItem(window.bertprune.visit, JSON.stringify(kept)); } catch { /* private windows */ }
    return [];
  },
  begin: async (_, last) => {
    const chosen = window.bertprune.chosen();
    if (chosen) await window.bertprune.change(chosen);
    const language = (chosen || navigator.language || 'en').toLowerCase().startsWith('ko') ? 'ko' : 'en';
    document.documentElement.lang = language;
    const kept = window.bertprune.own(last || {});
    window.bertprune.begun = true;
    window.bertprune.keep(kept);
    window.bertprune.show();
    return [language, kept];
  },
  speak: async (language) => {
    try { localStorage.setItem(window.bertprune.key, language); } catch { /* private windows */ }
    await window.bertprune.change(language);
    return [language];
  },
  // Each panel has its own address, so that Back returns to the previous panel.
  turn: (panel) => {
    if (location.hash !== '#' + panel) history.pushState(null, '', '#' + panel);
    return [];
  },
  show() {
    this.open(location.hash.slice(1) || 'model');
  },
  // On a narrow screen, Gradio's overflow menu identifies its tabs by their text only.
  folded(panel) {
    const at = ['model', 'recipe', 'result', 'cost', 'take'].indexOf(panel);
    const text = document.querySelectorAll('#tabs .tab-container[aria-hidden=true] button')[at]?.textContent;
    return [...document.querySelectorAll('#tabs .overflow-dropdown button')].find((tab) => tab.textContent === text);
  },
  // A link that Gradio draws may still lead nowhere, or to the file before this one.
  save: (file) => {
    const link = document.createElement('a');
    link.href = file.url;
    link.download = file.orig_name;
    link.click();
    return [];
  },
  // Changing the steps takes a moment; a click on Prune right after it means the changed steps.
  changes: 0,
  last: 0,
  changing: () => {
    window.bertprune.changes += 1;
    window.bertprune.last = Date.now();
  },
  changed: () => {
    window.bertprune.changes = Math.max(0, window.bertprune.changes - 1);
    return [];
  },
  async settled() {
    // after a lost connection no answer comes, so waiting must have an end
    while (this.changes && Date.now() - this.last < 60000) await new Promise((done) => setTimeout(done, 20));
    this.changes = 0;
  },
  go(panel) {
    this.open(panel);
    window.scrollTo({ top: 0 });
  },
  open(panel) {
    const tab = document.querySelector(`[data-tab-id="${CSS.escape(panel)}"]`) || this.folded(panel);
    if (tab && tab.getAttribute('aria-selected') !== 'true') tab.click();
  },
};
window.addEventListener('popstate', () => window.bertprune.show());
