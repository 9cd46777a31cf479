// Everything here is a convenience: each page works without it.
"use strict";
(() => {
  const byID = (id) => document.getElementById(id);

  // A page that answers a refused form stands in the history as the page of that form,
  // so that reload and Back never send it again.
  if (document.querySelector("[role=alert]")) {
    const here = location.pathname;
    history.replaceState(null, "", here === "/signin/verify" ? here : here.replace(/\/(code|verify|remove|cancel|clock)$/, ""));
  }

  // A form is sent once. Coming back by the Back button, or after a while without an
  // answer, it may be sent again.
  for (const form of document.forms) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "1";
      setTimeout(() => delete form.dataset.sent, 8000);
    });
  }
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  // Show and hide a password. It is hidden again before it is sent, so that browsers
  // do not remember it as text.
  for (const button of document.querySelectorAll("button.show")) {
    const input = byID(button.getAttribute("aria-controls"));
    const label = button.getAttribute("aria-label");
    const show = (on) => {
      input.type = on ? "text" : "password";
      button.textContent = on ? button.dataset.hide : button.dataset.show;
      button.setAttribute("aria-label", on ? button.dataset.hideLabel : label);
    };
    button.hidden = false;
    button.addEventListener("click", () => show(input.type === "password"));
    input.form.addEventListener("submit", () => show(false));
  }

  // The secret of a mailed link is in the fragment, which no server and no log sees.
  // It moves into the form and out of the address bar.
  const token = byID("token") ?? document.querySelector("#code[data-link]"); // a long code, that is
  const take = () => {
    if (!token || location.hash.length < 2) return;
    token.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    const next = token.id === "token" ? token.form.querySelector("input:not(#token)") : byID("verify");
    if (next) next.focus();
  };
  addEventListener("hashchange", take);
  take();

  // The answer to an app, as a form.
  document.querySelector("form[data-go]")?.requestSubmit();

  // The code is checked at the 6th digit: once for each page, and never again after
  // an error, so that somebody can correct it in peace.
  const code = byID("code");
  const hint = byID("code-hint");
  const digits = hint?.dataset.script;
  if (code && digits && !code.hasAttribute("aria-invalid")) {
    let armed = true;
    hint.textContent = digits;
    code.addEventListener("input", () => {
      if (armed && /^\p{Nd}{6}$/u.test(code.value.replace(/[\s\p{Pd}\p{Cf}]/gu, ""))) {
        armed = false;
        code.form.requestSubmit(byID("verify"));
      }
    });
  }

  // Whether this browser is to be trusted is kept as soon as it is said, so that it is still
  // there after a reload.
  const trust = byID("trust");
  if (trust) {
    trust.addEventListener("change", () => {
      const body = new URLSearchParams(trust.checked ? { trust: "1" } : {});
      fetch(trust.dataset.url, { method: "POST", body, keepalive: true, redirect: "manual" }).catch(() => {}); // the form says it too
    });
  }

  // A browser that may read the text message offers to fill its code in (WebOTP). It stops
  // listening when the form is sent.
  if (code && digits && "OTPCredential" in window && byID("delivery")?.dataset.more !== undefined) {
    const enough = new AbortController();
    code.form.addEventListener("submit", () => enough.abort());
    navigator.credentials.get({ otp: { transport: ["sms"] }, signal: enough.signal }).then((otp) => {
      code.value = otp.code;
      code.dispatchEvent(new Event("input"));
    }, () => {}); // refused, or not wanted
  }

  // The wait for a new code ticks for the eye; it is announced once, at its end.
  const again = byID("again");
  let until = 0;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    byID("again-button").disabled = left > 0;
    if (left > 0) {
      again.textContent = again.dataset.wait.replace("{s}", left);
      setTimeout(tick, 250);
      return;
    }
    again.textContent = "";
    byID("again-now").textContent = again.dataset.now;
  };
  if (again && again.dataset.seconds > 0) {
    until = Date.now() + again.dataset.seconds * 1000;
    tick();
  }

  // What has become of the message, until there is nothing more to hear.
  // A text message may be heard of again when it has arrived.
  const delivery = byID("delivery");
  let looks = 60;
  const awaited = (state) => state === "waiting" || (state === "sent" && "more" in delivery.dataset && --looks > 0);
  const poll = async () => {
    try {
      const answer = await fetch(delivery.dataset.url, { redirect: "manual" });
      if (!answer.ok) return;
      const now = await answer.json();
      if (!now.state) return; // it is over, and the next page is on its way
      if (delivery.textContent !== now.text) delivery.textContent = now.text;
      delivery.dataset.state = now.state;
      if (until && now.again > 0) until = Date.now() + now.again * 1000;
      if (awaited(now.state)) setTimeout(poll, 1000);
    } catch {
      setTimeout(poll, 5000); // offline for a moment
    }
  };
  if (delivery && awaited(delivery.dataset.state)) {
    if (byID("check")) byID("check").hidden = true;
    setTimeout(poll, 1000);
  }

  // Copy what stands on the page: a key without its blanks, a list line by line.
  for (const button of document.querySelectorAll("[data-copy]")) {
    const from = byID(button.dataset.copy);
    const lines = from.children.length ? [...from.children] : [from];
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(lines.map((line) => line.textContent.replace(/\s/g, "")).join("\n"));
      button.textContent = button.dataset.copied;
    });
  }
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }

  // A page that has nothing to ask begins by itself.
  const auto = document.querySelector("form[data-auto]");
  if (auto) auto.requestSubmit();
})();
