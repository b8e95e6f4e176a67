// What is wrong with the layout of a page: text that is cut, or stands on other text or outside of its box. A list of sentences.
(() => {
  const wrong = [];
  const name = (node) => JSON.stringify((node.textContent || "").trim().slice(0, 40));
  const meet = (a, b, slack) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > slack && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > slack;
  const within = (a, b, slack) =>
    a.left >= b.left - slack && a.right <= b.right + slack && a.top >= b.top - slack && a.bottom <= b.bottom + slack;
  const seen = (box) => box.width > 0 && box.height > 0;
  const apart = (boxes, slack, what) => {
    boxes.sort((a, b) => a.box.top - b.box.top);
    boxes.forEach((one, at) => {
      for (let next = at + 1; next < boxes.length && boxes[next].box.top < one.box.bottom; next++)
        if (meet(one.box, boxes[next].box, slack)) wrong.push(`${what}: ${name(one.node)} on ${name(boxes[next].node)}`);
    });
  };
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`wider than the window: ${document.documentElement.scrollWidth}`);
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    if (!seen(frame) || svg.parentElement?.closest("svg")) continue;
    const boxes = (node) => {
      if (!(node.getAttribute("x") ?? "").includes(" ")) return [node.getBoundingClientRect()];
      const to = node.getScreenCTM(); // each letter has a place of its own
      return Array.from({ length: node.getNumberOfChars() }, (_, n) => {
        const at = node.getExtentOfChar(n);
        return new DOMRect(to.a * at.x + to.e, to.d * at.y + to.f, to.a * at.width, to.d * at.height);
      });
    };
    const texts = [...svg.querySelectorAll("text")].flatMap((node) => boxes(node).map((box) => ({ node, box }))).filter((t) => seen(t.box));
    apart(texts, 1.5, "text on text");
    for (const { node, box } of texts) {
      if (!within(box, frame, 1)) wrong.push(`cut by the picture: ${name(node)}`);
      const group = node.closest("g.card, g.place, g.told");
      const rect = group?.querySelector("rect:not(.envelope)")?.getBoundingClientRect();
      if (rect && !within(box, rect, 0.5)) wrong.push(`outside of its box: ${name(node)} ${box.right - rect.right}`);
    }
    const cards = [...svg.querySelectorAll("g.card")].map((node) => ({ node, box: node.querySelector("rect:not(.envelope)").getBoundingClientRect() }));
    apart([...cards], 0.5, "card on card");
    for (const label of texts.filter((t) => t.node.matches(".name, .note")))
      for (const card of cards) if (meet(label.box, card.box, 0.5)) wrong.push(`name on a card: ${name(label.node)}`);
  }
  const scrolls = (node) => node && (/auto|scroll/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
  const pieces = [];
  const walker = document.createTreeWalker(document.body ?? document.documentElement, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.data.trim() || node.parentElement.closest("svg, style, script")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    let block = node.parentElement;
    while (getComputedStyle(block).display === "inline") block = block.parentElement;
    const room = block.getBoundingClientRect();
    for (const box of range.getClientRects()) {
      if (!seen(box) || scrolls(block)) continue;
      pieces.push({ node, box });
      if (box.left < -0.5 || box.right > innerWidth + 0.5) wrong.push(`cut by the window: ${name(node)}`);
      if (box.right > room.right + 1.5) wrong.push(`outside of its box: ${name(node)}`);
    }
  }
  apart(pieces.filter((piece) => piece.box.height < 200), 2.5, "text on text");
  return wrong;
})()
