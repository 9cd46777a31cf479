// Every page works without this script.
"use strict";
(() => {
  const byID = (id) => document.getElementById(id);

  // A refused form is answered in place. Put the address of the form into the history, so that
  // reload and Back do not send it again.
  if (document.querySelector("[role=alert]")) {
    const here = location.pathname;
    const page = here === "/signin/verify" ? here : here.replace(/\/(code|verify|remove|cancel|clock)$/, "");
    history.replaceState(null, "", page + location.search);
  }

  // Send each form once. After Back, or after 8 seconds without an answer, it can be sent again.
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

  // Show and hide a password. Hide it before it is sent, so that browsers do not store it as text.
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

  // Move the secret of a mailed link from the fragment, which is not sent to servers, into the form.
  const token = byID("token") ?? document.querySelector("#code[data-link]"); // the field of a long code
  const take = () => {
    if (!token || location.hash.length < 2) return;
    token.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname + location.search);
    if ("open" in token.form.dataset) token.form.requestSubmit(); // shows what the link is for, and changes nothing
    else byID("verify")?.focus();
  };
  addEventListener("hashchange", take);
  take();

  // Open the folded section that the address names, as newer browsers do.
  byID(location.hash.slice(1))?.closest("details")?.setAttribute("open", "");

  // Submit a form that needs no input, such as the response to an app (response_mode=form_post).
  document.querySelector("form[data-go], form[data-auto]")?.requestSubmit();

  // Submit the code at the 6th digit, but not what the page before has sent.
  const code = byID("code");
  const hint = document.querySelector("#code-hint[hidden]");
  if (hint) {
    const typed = () => code.value.replace(/[\s\p{Pd}\p{Cf}]/gu, "");
    let last = code.ariaInvalid && window.navigation?.activation?.from?.getState();
    hint.hidden = false;
    code.form.addEventListener("submit", (event) => {
      if (event.defaultPrevented) return;
      last = typed();
      window.navigation?.updateCurrentEntry({ state: last });
    });
    code.addEventListener("input", () => {
      if (/^\p{Nd}{6}$/u.test(typed()) && typed() !== last && !code.form.dataset.sent) code.form.requestSubmit(byID("verify"));
    });
  }

  // Focus the field below a QR code if it is in view.
  if (byID("secret") && code?.getBoundingClientRect().bottom < innerHeight) code.focus();

  // Save the trust checkbox for a reload.
  const trust = byID("trust");
  if (trust) {
    trust.addEventListener("change", () => {
      const body = new URLSearchParams(trust.checked ? { trust: "1" } : {});
      fetch(trust.dataset.url, { method: "POST", body, keepalive: true, redirect: "manual" }).catch(() => {});
    });
  }

  // Offer the code of a text message (WebOTP), until the form is sent.
  if (hint && "OTPCredential" in window && byID("delivery")?.dataset.more !== undefined) {
    const enough = new AbortController();
    code.form.addEventListener("submit", () => enough.abort());
    navigator.credentials.get({ otp: { transport: ["sms"] }, signal: enough.signal }).then((otp) => {
      code.value = otp.code;
      code.dispatchEvent(new Event("input"));
    }, () => {});
  }

  // Count down to a new code. Screen readers hear only the end.
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

  // Poll the delivery state until it is final or the code has expired: every second for 10 seconds
  // after each change, then up to every 15 seconds. Text messages can change after "sent".
  const delivery = byID("delivery");
  const pollUntil = Date.now() + (delivery?.dataset.minutes ?? 15) * 60000;
  let changed = Date.now();
  let interval = 1000;
  const pending = (state) =>
    Date.now() < pollUntil && (state === "waiting" || (state === "sent" && "more" in delivery.dataset));
  const pollLater = (least) => {
    if (Date.now() - changed > 10000) interval = Math.min(interval * 1.5, 15000);
    setTimeout(poll, Math.max(interval, least));
  };
  const poll = async () => {
    try {
      const answer = await fetch(delivery.dataset.url, { redirect: "manual" });
      if (!answer.ok) return;
      const now = await answer.json();
      if (!now.state) return; // the sign-in has ended; the next page is loading
      if (delivery.textContent !== now.text) delivery.textContent = now.text;
      if (delivery.dataset.state !== now.state) {
        changed = Date.now();
        interval = 1000;
      }
      delivery.dataset.state = now.state;
      if (until && now.again > 0) until = Date.now() + now.again * 1000;
      if (pending(now.state)) pollLater(0);
    } catch {
      if (Date.now() < pollUntil) pollLater(5000); // offline
    }
  };
  if (delivery && pending(delivery.dataset.state)) {
    byID("check")?.remove();
    pollLater(0);
  }

  // Copy a key without its spaces, or a list line by line.
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
})();
