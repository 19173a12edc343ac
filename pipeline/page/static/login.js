// Logs in: the server answers a right password with a cookie that scripts cannot read.
const $ = (id) => document.getElementById(id);

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("enter").disabled = true;
  const body = JSON.stringify({ name: $("name").value, password: $("password").value });
  try {
    const answer = await fetch("/api/login", { method: "POST", body, headers: { "Content-Type": "application/json" } });
    if (answer.ok) {
      location.replace("/");
      return;
    }
    const { detail } = await answer.json().catch(() => ({}));
    $("notice").textContent = answer.status === 401 ? "Name or password is wrong." : `Not logged in: ${detail || answer.status}`;
  } catch {
    $("notice").textContent = "The server does not answer. Is it still running?";
  }
  $("notice").hidden = false;
  $("enter").disabled = false;
  $("password").select();
});
