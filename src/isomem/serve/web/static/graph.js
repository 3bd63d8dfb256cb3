// A small graph: names that push each other away, and pull if they are in the same memories.
//
// It is laid out at once and then stands still, the same way every time.

import { el, svg } from "./dom.js";

const WIDTH = 400, HEIGHT = 320, MARGIN = 8;
const ROUNDS = 260, UNTANGLING = 160;
const LETTER = 6.5, LINE = 19;
const MOST_LINKS = 90;

/** How often two entities are in one memory: [{ from, to, weight }], the strongest first. */
export function linksOf(entities) {
  const byMemory = new Map();
  entities.forEach((entity, index) => {
    for (const id of entity.memories) byMemory.set(id, [...(byMemory.get(id) ?? []), index]);
  });
  const weights = new Map();
  for (const together of byMemory.values()) {
    for (let i = 0; i < together.length; i += 1) {
      for (let j = i + 1; j < together.length; j += 1) {
        const pair = `${together[i]} ${together[j]}`;
        weights.set(pair, (weights.get(pair) ?? 0) + 1);
      }
    }
  }
  const links = [...weights].map(([pair, weight]) => {
    const [from, to] = pair.split(" ").map(Number);
    return { from, to, weight };
  });
  return links.sort((a, b) => b.weight - a.weight).slice(0, MOST_LINKS);
}

/** Where every entity is. */
export function layout(entities, links) {
  const nodes = entities.map((entity, index) => {
    const angle = index * 2.399963;
    const distance = 14 * Math.sqrt(index + 0.5);
    return { x: distance * Math.cos(angle), y: distance * Math.sin(angle) * 0.8,
      width: Math.min(entity.text.length, 22) * LETTER + 14, height: LINE };
  });
  for (let round = 0; round < ROUNDS; round += 1) move(nodes, links, 1 - round / ROUNDS);
  for (let round = 0; round < UNTANGLING; round += 1) if (!untangle(nodes)) break;
  return nodes;
}

function move(nodes, links, heat) {
  const forces = nodes.map(({ x, y }) => ({ x: -x * 0.018, y: -y * 0.03 }));
  for (let i = 0; i < nodes.length; i += 1) {
    for (let j = i + 1; j < nodes.length; j += 1) {
      const dx = nodes[i].x - nodes[j].x || 0.01, dy = nodes[i].y - nodes[j].y || 0.01;
      const push = 420 / (dx * dx + dy * dy + 30);
      apply(forces, i, j, dx * push * 0.05, dy * push * 0.05);
    }
  }
  for (const { from, to, weight } of links) {
    const dx = nodes[to].x - nodes[from].x, dy = nodes[to].y - nodes[from].y;
    const pull = 0.012 * Math.min(3, weight) * (1 - 60 / (Math.hypot(dx, dy) + 1));
    apply(forces, from, to, dx * pull, dy * pull);
  }
  nodes.forEach((node, index) => {
    node.x += forces[index].x * heat * 2;
    node.y += forces[index].y * heat * 2;
  });
}

function apply(forces, one, other, x, y) {
  forces[one].x += x;
  forces[one].y += y;
  forces[other].x -= x;
  forces[other].y -= y;
}

/** Moves names apart that are on top of each other. Whether there were any. */
function untangle(nodes) {
  let moved = false;
  for (let i = 0; i < nodes.length; i += 1) {
    for (let j = i + 1; j < nodes.length; j += 1) {
      const one = nodes[i], other = nodes[j];
      const x = (one.width + other.width) / 2 + 6 - Math.abs(one.x - other.x);
      const y = (one.height + other.height) / 2 + 6 - Math.abs(one.y - other.y);
      if (x <= 0 || y <= 0) continue;
      moved = true;
      if (x < y) shift(one, other, "x", x / 2);
      else shift(one, other, "y", y / 2);
    }
  }
  return moved;
}

function shift(one, other, axis, by) {
  const sign = one[axis] < other[axis] ? -1 : 1;
  one[axis] += sign * by;
  other[axis] -= sign * by;
}

/** Scales all places into the drawing; names keep their size. */
function fitted(nodes) {
  const scale = (axis, size, extent) => {
    const half = (node) => node[size] / 2 + MARGIN;
    const low = Math.min(...nodes.map((node) => node[axis] - half(node)));
    const high = Math.max(...nodes.map((node) => node[axis] + half(node)));
    return { low, high: Math.max(high, low + extent) };
  };
  const x = scale("x", "width", WIDTH), y = scale("y", "height", 120);
  return { x: x.low, y: y.low, width: x.high - x.low, height: Math.min(y.high - y.low, 2 * HEIGHT) };
}

/** The drawing. `choose` gets the number of an entity. */
export function drawGraph(entities, choose) {
  const links = linksOf(entities);
  const nodes = layout(entities, links);
  const box = fitted(nodes);
  const lines = links.map((link) => svg("line", { class: "link",
    x1: nodes[link.from].x, y1: nodes[link.from].y, x2: nodes[link.to].x, y2: nodes[link.to].y,
    "stroke-width": Math.min(4, 0.6 + link.weight * 0.7) }));
  const most = Math.max(...entities.map((entity) => entity.links));
  const groups = entities.map((entity, index) => {
    const { x, y, width } = nodes[index];
    const strength = 0.62 + 0.38 * Math.sqrt(entity.links / most);
    const label = entity.text.length > 22 ? `${entity.text.slice(0, 21)}…` : entity.text;
    const node = svg("g", { class: "entity-node", transform: `translate(${x} ${y})` },
      svg("title", {}, `${entity.text}: ${entity.links}`),
      svg("rect", { x: -width / 2, y: -LINE / 2, width, height: LINE, rx: LINE / 2 }),
      svg("text", { "text-anchor": "middle", dy: "0.34em", "font-weight": strength > 0.85 ? 650 : 450 }, label));
    node.addEventListener("click", () => choose(index));
    return node;
  });
  const drawing = svg("svg", { viewBox: `${box.x} ${box.y} ${box.width} ${box.height}`, class: "graph",
    role: "img", "aria-label": `${entities.length} entities and ${links.length} links between them. The list below has the same.` },
  lines, groups);
  return { node: el("figure", {}, drawing), mark: (chosen) => mark(chosen, links, lines, groups) };
}

function mark(chosen, links, lines, groups) {
  const near = new Set(chosen < 0 ? groups.keys() : [chosen]);
  links.forEach(({ from, to }, index) => {
    const isNear = from === chosen || to === chosen;
    if (isNear) near.add(from).add(to);
    lines[index].classList.toggle("strong", isNear);
    lines[index].classList.toggle("dim", chosen >= 0 && !isNear);
  });
  groups.forEach((group, index) => {
    group.classList.toggle("chosen", index === chosen);
    group.classList.toggle("dim", !near.has(index));
  });
  return near;
}
