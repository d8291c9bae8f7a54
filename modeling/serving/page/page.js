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

// A bar for each name, the likeliest first.
function bars(names, shares, isGiven) {
  const rows = shares.map((share, i) => ({ share, i }));
  rows.sort((a, b) => b.share - a.share);
  return rows.map(({ share, i }) => bar(names[i], share, isGiven(i)));
}

function showLabels(said, model) {
  return bars(model.labels, said.probabilities, (i) =>
    said.labels ? said.labels[i] : model.labels[i] === said.label,
  );
}

function showChoices(said, model, texts) {
  return bars(texts.choices, said.probabilities, (i) => i === said.choice);
}

// The text with its spans as elements. They count code points, as Python does;
// JavaScript's strings count UTF-16 units.
function marked(text, spans, mark = (inside) => make("mark", inside)) {
  const characters = Array.from(text);
  const parts = [];
  let end = 0;
  for (const span of spans) {
    parts.push(characters.slice(end, span.start).join(""));
    parts.push(mark(characters.slice(span.start, span.end).join(""), span));
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

function showTags(said, model, texts) {
  return [said.entity_types ? entities(said, texts) : words(said, texts)];
}

function entities(said, texts) {
  const spans = said.entity_types.map((type, i) => ({
    type,
    share: said.entity_scores[i],
    start: said.entity_starts[i],
    end: said.entity_ends[i],
  }));
  return marked(texts.text, spans, (inside, { type, share }) => {
    // Words that are only divided have no types.
    const element = make("mark", type ? [inside, make("small", type)] : inside);
    element.title = percent(share);
    return element;
  });
}

// Every word with its tag above it.
function words(said, texts) {
  const spans = said.tags.map((tag, i) => ({
    tag,
    share: said.probabilities[i],
    start: said.word_starts[i],
    end: said.word_ends[i],
  }));
  const paragraph = marked(texts.text, spans, (inside, { tag, share }) => {
    const element = make("ruby", [inside, make("rt", tag)]);
    element.title = percent(share);
    return element;
  });
  paragraph.classList.add("tagged");
  return paragraph;
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
  tagging: showTags,
  multiple_choice: showChoices,
  embedding: showVectors,
  features: showVectors,
};

let models = [];
let fields = [];

const chosen = () => models.find((model) => model.name === find("model").value);

// Fields are an element and the value that is typed into it.
function textField(name) {
  const field = make("textarea");
  field.name = name;
  field.rows = name === "context" ? 8 : 2;
  const element = make("label", [name.replace("_", " "), field]);
  return { name, element, value: () => field.value };
}

// As many texts as one likes; empty ones do not count.
function listField(name) {
  const list = make("ol");
  const add = () => {
    const field = make("input");
    field.setAttribute("aria-label", name);
    const item = make("li", [field, button("Remove", () => item.remove())]);
    list.append(item);
    return field;
  };
  add();
  add();
  const more = button("Add", () => add().focus());
  const element = make("fieldset", [make("legend", name), list, more]);
  const value = () =>
    [...list.querySelectorAll("input")]
      .map((field) => field.value)
      .filter((text) => text);
  return { name, element, value };
}

function button(name, act) {
  const element = make("button", name);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

function showInputs() {
  const { task, inputs = ["text"], version } = chosen();
  find("about").textContent = `${task ?? "unknown task"}, version ${version}`;
  fields = inputs.map((name) =>
    name === "choices" ? listField(name) : textField(name),
  );
  find("inputs").replaceChildren(...fields.map((field) => field.element));
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
    fields.map(({ name, value }) => [name, value()]),
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
