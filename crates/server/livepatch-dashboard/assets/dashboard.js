// Adds to pages that work without it: copy buttons, a key for the search, live rollouts, and a word when a page is old.
"use strict";

(function () {
  function copyButtons(root) {
    for (const block of root.querySelectorAll("[data-copy]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = block.dataset.copy;
      button.addEventListener("click", async function () {
        const text = block.querySelector("code").textContent;
        try {
          await navigator.clipboard.writeText(text);
          button.textContent = block.dataset.copied;
        } catch (error) {
          // No clipboard without TLS: select it, so that the keyboard can copy it.
          getSelection().selectAllChildren(block.querySelector("code"));
        }
        setTimeout(function () { button.textContent = block.dataset.copy; }, 2000);
      });
      block.after(button);
    }
  }

  function searchKey() {
    document.addEventListener("keydown", function (event) {
      const typing = event.target.closest("input, textarea, select, [contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const search = document.getElementById("search");
      if (!search) return;
      event.preventDefault();
      search.focus();
      search.select();
    });
  }

  const age = document.getElementById("age");
  let madeAt = Date.now();

  function say(text) {
    if (!age) return;
    let word = document.getElementById("stale");
    if (!text) {
      if (word) word.remove();
      return;
    }
    if (!word) {
      word = document.createElement("strong");
      word.id = "stale";
      word.setAttribute("role", "status");
      age.prepend(word);
    }
    word.textContent = text + " ";
  }

  function live() {
    const part = document.getElementById("live");
    if (!part || !window.EventSource) return;
    const source = new EventSource(part.dataset.live);
    source.addEventListener("message", function (event) {
      // The server's own markup, escaped there as in the page itself; the policy forbids any script in it.
      part.innerHTML = event.data;
      madeAt = Date.now();
      say("");
    });
    source.addEventListener("open", function () { say(""); });
    source.addEventListener("error", function () { say(age && age.dataset.cut); });
  }

  function staleness() {
    setInterval(function () {
      if (age && Date.now() - madeAt > 10 * 60 * 1000) say(age.dataset.stale);
    }, 30 * 1000);
  }

  copyButtons(document);
  searchKey();
  live();
  staleness();
})();
