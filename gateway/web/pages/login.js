// @ts-check
const form = /** @type {HTMLFormElement} */ (document.getElementById("login"));
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = /** @type {HTMLInputElement} */ (document.getElementById("token")).value;
  const answer = await fetch("/login", { method: "POST", body: `token=${token}` });
  location.href = answer.url.endsWith("/login") ? "/login" : "/";
});
