// Shows openapi.json: a card per request with its parameters, examples and answers.

const LONG = 90; // letters of a text in an example that are shown

function element(tag, text = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = kind;
  return made;
}

// A paragraph in which `code` stands between backticks.
function prose(tag, text, kind = "") {
  const made = element(tag, "", kind);
  made.append(...text.split("`").map((part, index) => (index % 2 ? element("code", part) : part)));
  return made;
}

function examples(content) {
  return Object.entries(content ?? {}).flatMap(([kind, { examples: named, schema }]) => {
    const shown = Object.values(named ?? {}).map(({ value, externalValue }) => (externalValue
      ? `${kind}: the file ${externalValue}`
      : JSON.stringify(value, (_, part) => (typeof part === "string" && part.length > LONG ? `${part.slice(0, LONG)}…` : part), 1)));
    const fields = schema?.$ref ? [`a ${schema.$ref.split("/").at(-1)}, see below`] : [];
    return [...shown, ...fields].map((text) => element("pre", text));
  });
}

function operation(path, method, { summary, description, parameters = [], requestBody, responses }, server) {
  const card = element("section", "", "detail api");
  const heading = element("h2");
  heading.append(element("code", `${method.toUpperCase()} ${server}${path}`));
  card.append(heading, element("p", summary, "sentence"));
  if (description) card.append(prose("p", description));
  const facts = element("dl");
  for (const { name, schema, description: about } of parameters) {
    const values = schema?.enum ? schema.enum.join(", ") : schema?.type ?? "";
    facts.append(element("dt", `?${name}`), prose("dd", [values, about].filter(Boolean).join(": ")));
  }
  for (const [status, answer] of Object.entries(responses)) {
    const about = element("dd", answer.description);
    about.append(...examples(answer.content));
    facts.append(element("dt", status), about);
  }
  card.append(...examples(requestBody?.content), facts);
  return card;
}

function schema(name, { description, properties }) {
  const card = element("section", "", "detail api");
  card.append(element("h2", name), element("p", description));
  const facts = element("dl");
  for (const [field, { type }] of Object.entries(properties)) facts.append(element("dt", field), element("dd", type.join(" or ")));
  card.append(facts);
  return card;
}

const { info, paths, components } = await (await fetch("/openapi.json")).json();
document.getElementById("about").replaceWith(prose("p", info.description, "lead"));
const cards = Object.entries(paths).flatMap(([path, { servers, parameters, ...methods }]) =>
  Object.entries(methods).map(([method, found]) => operation(path, method, found, servers?.[0].url ?? "")));
cards.push(...Object.entries(components.schemas).map(([name, found]) => schema(name, found)));
document.getElementById("operations").append(...cards);
