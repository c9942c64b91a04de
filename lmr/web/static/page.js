// What the pages do beyond links and forms: drop and paste a photo, load as one scrolls, keys, jobs as they change.
"use strict";

// what happens without a new page, for those who do not see it
const told = document.getElementById("told");
function tell(text) { told.textContent = text; }

for (const form of document.querySelectorAll("form.drop")) {
  const file = form.querySelector("input[type=file]");
  const take = (files) => {
    const photos = [...files].filter((one) => one.type.startsWith("image/") || one.type.startsWith("video/") || !one.type);
    if (!photos.length) return;
    const chosen = new DataTransfer();
    for (const photo of photos) chosen.items.add(photo);
    file.files = chosen.files;
    form.requestSubmit();
  };
  file.addEventListener("change", () => file.files.length && form.requestSubmit());
  const wait = form.querySelector(".wait"), camera = form.querySelector(".camera");
  form.addEventListener("submit", () => { wait.textContent = "Searching …"; });
  window.addEventListener("pageshow", () => { wait.textContent = ""; }); // also where one comes back to it
  camera.hidden = !matchMedia("(pointer: coarse)").matches;
  camera.querySelector("input").addEventListener("change", (event) => take(event.target.files));
  document.addEventListener("dragover", (event) => { event.preventDefault(); form.classList.add("over"); });
  document.addEventListener("dragleave", () => form.classList.remove("over"));
  document.addEventListener("drop", (event) => { event.preventDefault(); form.classList.remove("over"); take(event.dataTransfer.files); });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
}

let shown = document.querySelectorAll(".gallery .card").length;
async function load(more) {
  const link = more.querySelector("a");
  const address = new URL(link.href);
  address.searchParams.set("part", "1");
  link.textContent = "Loading …";
  const answer = await fetch(address, { credentials: "same-origin" });
  if (answer.status === 429) { setTimeout(() => load(more), 2000); return; }
  if (!answer.ok) { link.textContent = "More"; return; }
  const held = more.contains(document.activeElement), list = more.parentElement, next = list.cloneNode(false);
  next.innerHTML = await answer.text(); // made by the server's templates, every value escaped
  more.remove();
  list.after(next); // a list of its own: the browser lays out those in sight alone, however many there are
  if (held) next.querySelector("a")?.focus();
  shown += next.querySelectorAll(".card").length;
  tell(`${shown} are shown`);
  watch();
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); load(entry.target); }
}, { rootMargin: "800px" });
function watch() { for (const more of document.querySelectorAll("li.more")) seen.observe(more); }
watch();

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, textarea, select")) return;
  const meant = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
  if (meant) { event.preventDefault(); meant.click(); }
});

for (const table of document.querySelectorAll("[data-jobs]")) {
  const anew = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["counts", "jobs", "measured", "aside"]) document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
  };
  new EventSource(table.dataset.jobs).onmessage = (event) => {
    let changed = false;
    for (const job of JSON.parse(event.data)) {
      const row = table.querySelector(`[data-job="${CSS.escape(job.id)}"]`);
      if (!row) { changed = true; continue; }
      const [state, at] = ["state", "at"].map((part) => row.querySelector(`[data-part=${part}]`));
      if (state.textContent !== job.state) {
        changed ||= job.ended !== null;
        tell(`${job.about}: ${job.state}${job.ended ? `, ${job.said}` : ""}`);
      }
      state.textContent = job.state;
      at.textContent = job.said;
    }
    if (changed) anew();
  };
}

// a box is drawn over the photo that is searched with: a part of it is searched with then
for (const draw of document.querySelectorAll("[data-width].draw")) {
  const picture = draw.querySelector("img"), frame = draw.appendChild(document.createElement("div"));
  const scale = () => draw.dataset.width / picture.clientWidth;
  const show = (left, top, right, bottom) => Object.assign(frame.style, {
    display: "block", left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px`,
  });
  let from = null;
  const at = (event) => {
    const edge = picture.getBoundingClientRect();
    const inside = (value, most) => Math.max(0, Math.min(value, most));
    return [inside(event.clientX - edge.left, edge.width), inside(event.clientY - edge.top, edge.height)];
  };
  const corners = (to) => [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
  const given = () => { if (draw.dataset.box) show(...draw.dataset.box.split(",").map((value) => value / scale())); };
  if (picture.complete) given(); else picture.addEventListener("load", given);
  draw.addEventListener("pointerdown", (event) => { from = at(event); draw.setPointerCapture(event.pointerId); event.preventDefault(); });
  draw.addEventListener("pointermove", (event) => { if (from) show(...corners(at(event))); });
  draw.addEventListener("pointerup", (event) => {
    if (!from) return;
    const box = corners(at(event));
    from = null;
    if (box[2] - box[0] < 8 || box[3] - box[1] < 8) return;
    const address = new URL(draw.dataset.link, location.href);
    address.searchParams.set("box", box.map((value) => Math.round(value * scale())).join(","));
    location.href = address;
  });
}

// one photo laid over the other: a slider between them, or both in turn
for (const over of document.querySelectorAll("[data-over]")) {
  const top = over.querySelector(".stack img:last-child"), slider = over.querySelector("input"), blink = over.querySelector("button");
  let turns = null;
  const show = () => { top.style.opacity = slider.value / 100; };
  slider.addEventListener("input", show);
  blink.addEventListener("click", () => {
    blink.setAttribute("aria-pressed", String(!turns));
    if (turns) { clearInterval(turns); turns = null; show(); return; }
    turns = setInterval(() => { top.style.opacity = top.style.opacity === "1" ? 0 : 1; }, 700);
  });
  show();
}
