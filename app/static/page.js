// The page's language: the visitor's last choice, else the browser's. Gradio's own texts follow through its core module.
window.bertprune = {
  key: 'bertprune-language',
  chosen() {
    try { return localStorage.getItem(this.key); } catch { return null; }
  },
  async change(language) {
    const loaded = performance.getEntriesByType('resource').map((entry) => entry.name);
    const core = loaded.find((name) => /\/assets\/core-[\w-]+\.js/.test(name));
    if (core) (await import(core)).changeLocale?.(language);
    document.documentElement.lang = language;
  },
  begin: async (_, kept) => {
    const chosen = window.bertprune.chosen();
    if (chosen) await window.bertprune.change(chosen);
    const language = chosen || navigator.language || 'en';
    return [language.toLowerCase().startsWith('ko') ? 'ko' : 'en', kept];
  },
  speak: async (language) => {
    try { localStorage.setItem(window.bertprune.key, language); } catch { /* private windows */ }
    await window.bertprune.change(language);
    return [language];
  },
};
