// What a model says of a text, shown as people read it. Texts are put into the
// page as text, never as HTML.

const find = (id) => document.getElementById(id);

// A new element with its text or children.
function make(tag, content = [], className = "") {
  const element = document.createElement(tag);
  element.append(...[content].flat());
  element.className = className;
  return element;
}

// The address is that of the server, wherever a proxy puts it.
async function ask(path, message) {
  const headers = {};
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { headers };
  if (message) {
    options.method = "POST";
    options.body = JSON.stringify(message);
    headers["Content-Type"] = "application/json";
  }
  const response = await fetch(path, options);
  if (response.status === 401) {
    const given = prompt("The server's token:");
    if (given) {
      sessionStorage.setItem("token", given.trim());
      return ask(path, message);
    }
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function bar(name, share, given) {
  const meter = make("meter");
  meter.value = share;
  const row = [
    make("span", name, "name"),
    meter,
    make("span", percent(share), "number"),
  ];
  return make("div", row, given ? "bar given" : "bar");
}

function showLabels(said, model) {
  const shares = said.probabilities.map((share, i) => ({
    name: model.labels[i] ?? String(i),
    share,
    given: said.labels ? said.labels[i] : model.labels[i] === said.label,
  }));
  shares.sort((a, b) => b.share - a.share);
  return shares.map((s) => bar(s.name, s.share, s.given));
}

// The text with its spans marked. They count code points, as Python does;
// JavaScript's strings count UTF-16 units.
function marked(text, spans) {
  const characters = Array.from(text);
  const parts = [];
  let end = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    if (span.start < end) continue;
    parts.push(characters.slice(end, span.start).join(""));
    const inside = [characters.slice(span.start, span.end).join("")];
    if (span.label) inside.push(make("small", span.label));
    parts.push(make("mark", inside));
    end = span.end;
  }
  parts.push(characters.slice(end).join(""));
  return make("p", parts, "context");
}

function showAnswer(said, model, texts) {
  const found = said.start >= 0;
  const answer = found
    ? [make("strong", said.answer), ` (${percent(said.score)})`]
    : `No answer (${percent(said.score)})`;
  const spans = found ? [said] : [];
  return [make("p", answer), marked(texts.context, spans)];
}

function showEntities(said, model, texts) {
  const spans = said.entities.slice(0, said.lengths).map((label, i) => ({
    label,
    start: said.starts[i],
    end: said.ends[i],
  }));
  return [marked(texts.text, spans)];
}

function showScore(said) {
  return [make("p", make("strong", said.toFixed(3)))];
}

function showVectors(said) {
  const vectors = said.vectors ?? said;
  const sizes = [];
  for (let v = vectors; Array.isArray(v); v = v[0]) sizes.push(v.length);
  return [make("p", `${sizes.join(" x ")} numbers`)];
}

const SHOWN = {
  classification: showLabels,
  multi_label: showLabels,
  question_answering: showAnswer,
  regression: showScore,
  tagging: showEntities,
  embedding: showVectors,
  features: showVectors,
};

let models = [];

const chosen = () => models.find((model) => model.name === find("model").value);

function showInputs() {
  const { task, inputs = ["text"], version } = chosen();
  find("about").textContent = `${task ?? "unknown task"}, version ${version}`;
  const fields = inputs.map((name) => {
    const field = make("textarea");
    field.name = name;
    field.rows = name === "context" ? 8 : 2;
    return make("label", [name.replace("_", " "), field]);
  });
  find("inputs").replaceChildren(...fields);
  find("result").replaceChildren();
  find("raw").hidden = true;
}

function showError(error) {
  find("result").replaceChildren(make("p", error.message, "error"));
}

async function submit(event) {
  event.preventDefault();
  const model = chosen();
  const texts = Object.fromEntries(
    [...find("inputs").querySelectorAll("textarea")].map((field) => [
      field.name,
      field.value,
    ]),
  );
  const began = performance.now();
  find("took").textContent = "…";
  find("raw").hidden = true;
  try {
    const path = `v1/models/${encodeURIComponent(model.name)}:predict`;
    const answer = await ask(path, { instances: [texts] });
    const [said] = answer.predictions;
    const show = SHOWN[model.task] ?? (() => []);
    find("result").replaceChildren(...show(said, model, texts));
    find("json").textContent = JSON.stringify(said, null, 1);
    find("raw").hidden = false;
  } catch (error) {
    showError(error);
  }
  find("took").textContent = `${Math.round(performance.now() - began)} ms`;
}

async function start() {
  try {
    ({ models } = await ask("v1/models"));
  } catch (error) {
    showError(error);
    return;
  }
  find("model").append(...models.map((model) => make("option", model.name)));
  find("model").addEventListener("change", showInputs);
  find("form").addEventListener("submit", submit);
  find("form").addEventListener("keydown", (event) => {
    // Enter breaks a line in a text; with Ctrl it asks.
    if (event.key === "Enter" && event.ctrlKey) find("form").requestSubmit();
  });
  showInputs();
}

start();
