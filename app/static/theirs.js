// Gradio names some controls in English only: translate these names whenever they appear.
// It also shows a message twice where two events fail for the same reason: show it once, with Gradio's count.
// And it has the server cancel what has no id yet, which the server refuses: that is for the page's own event to do.
{
  const { fetch } = window;
  window.fetch = (where, given) => (/\/gradio_api\/(cancel|reset)$/.test(where) && !JSON.parse(given.body).event_id
    ? Promise.resolve(new Response('{}')) : fetch(where, given));
}
function translate(words) {
  const inPageLanguage = (text) => {
    const to = words[document.documentElement.lang] || words.en;
    for (const from of Object.values(words)) {
      const at = from.findIndex((word) => (word.endsWith(' ') ? text.startsWith(word) : text === word));
      if (at >= 0) return to[at] + text.slice(from[at].length);
    }
    return text;
  };
  const name = (element) => {
    for (const attribute of ['aria-label', 'title']) {
      const old = element.getAttribute(attribute);
      if (old && inPageLanguage(old) !== old) element.setAttribute(attribute, inPageLanguage(old));
    }
  };
  const write = (text) => {
    const within = text.parentElement?.closest('[data-testid=status-tracker], #sign-in');
    if (within && inPageLanguage(text.data) !== text.data) text.data = inPageLanguage(text.data);
  };
  const once = (toast) => {
    const shown = new Set();
    for (const message of toast.querySelectorAll('.toast-message-item')) {
      message.hidden = shown.has(message.textContent);
      shown.add(message.textContent);
    }
  };
  const all = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return write(node);
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    const toast = node.closest('.toast-messages') || node.querySelector('.toast-messages');
    if (toast) once(toast);
    [node, ...node.querySelectorAll('[aria-label], [title]')].forEach(name);
    const texts = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) write(texts.currentNode);
  };
  new MutationObserver((changes) => changes.forEach((change) => {
    if (change.attributeName === 'lang') all(document.body);
    else if (change.type === 'attributes') name(change.target);
    else if (change.type === 'characterData') write(change.target);
    else change.addedNodes.forEach(all);
  })).observe(document.documentElement, {
    subtree: true, childList: true, characterData: true, attributeFilter: ['aria-label', 'title', 'lang'],
  });
}
