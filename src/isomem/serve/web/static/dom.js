// Elements. Text only ever becomes text: nothing here or elsewhere parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes; `on` has listeners; true is an attribute without a value. */
export function el(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** An element of SVG. */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(node, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
  for (const [event, listener] of Object.entries(on)) node.addEventListener(event, listener);
  node.append(...present(children));
  return node;
}

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined);

function setAttribute(node, name, value) {
  if (value === false || value === null || value === undefined) return;
  node.setAttribute(name, value === true ? "" : String(value));
}

/** Replaces what is in an element. */
export function fill(node, ...children) {
  node.replaceChildren(...present(children));
  return node;
}

const PATHS = {
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14",
  filter: "M2 4h12M4.5 8h7M7 12h2",
  graph: "M4 6a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM12 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5.800 4.700l4.400 1.600M6.500 10.800l4-2.600",
  plus: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  back: "M10 3 5 8l5 5",
  edit: "M3 13l.7-3L10.500 3.200a1.500 1.500 0 0 1 2.300 2.300L6 12.300 3 13Z",
  remove: "M3 4.500h10M6.500 4.500V3h3v1.500M4.500 4.500 5 13h6l.5-8.500",
  theme: "M8 2.500a5.500 5.500 0 1 0 0 11V2.500Z M8 2.500a5.500 5.500 0 0 1 0 11",
  help: "M6.200 6.200A1.900 1.900 0 1 1 8.700 8c-.5.200-.7.600-.7 1.200M8 11.600v.1M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Z",
  out: "M9.500 3H13v10H9.500M9 8H3M5.500 5.500 3 8l2.500 2.500",
  copy: "M5.500 5.500V3H13v7.500h-2.500M3 5.500h7.500V13H3V5.500Z",
};

/** A drawing in the size of the text; the button or label around it says what it means. */
export function icon(name) {
  const path = svg("path", { d: PATHS[name], fill: "none", stroke: "currentColor",
    "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round" });
  return svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
}

/** A button: with a drawing, the label is only said and shown as a hint. */
export function button(label, onClick, { kind = "", drawing, ...props } = {}) {
  const classes = `button ${kind}${drawing && kind.includes("icon") ? "" : ""}`.trim();
  const isDrawn = kind.split(" ").includes("icon");
  return el(
    "button",
    { type: "button", class: classes, "aria-label": isDrawn && label, title: isDrawn && label,
      on: { click: onClick }, ...props },
    drawing ? icon(drawing) : null,
    isDrawn ? null : label,
  );
}

let fields = 0;

/** A labelled field. `control` is an input, a select or a textarea. */
export function field(label, control, hint) {
  control.id ||= `field-${++fields}`;
  const said = hint ? el("p", { class: "hint", id: `${control.id}-hint` }, hint) : null;
  if (said) control.setAttribute("aria-describedby", said.id);
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control, said);
}

/** A box that is ticked or not. */
export function check(label, isOn, onChange) {
  const box = el("input", { type: "checkbox", on: { change: () => onChange?.(box.checked) } });
  box.checked = isOn;
  return { node: el("label", { class: "check" }, box, el("span", {}, label)), box };
}

/** A list to choose from: pairs of a value and what it is called. */
export function select(choices, chosen, props = {}) {
  const node = el("select", { class: "select", ...props });
  for (const [value, label] of choices) {
    const option = el("option", { value }, label);
    option.selected = value === chosen;
    node.append(option);
  }
  return node;
}

/** Calls `work` once it has not been asked for a while. */
export function debounced(work, ms) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), ms);
  };
}

/** Whether somebody types here, so that single keys are text. */
export function isTyping(target) {
  return target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
    !["checkbox", "radio", "button"].includes(target.type);
}
