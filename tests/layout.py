"""What a page of HTML does wrong to the eye: measured in the browser, box by box."""

from chromium import Tab

FAULTS = r"""(() => {
const wide = document.documentElement.clientWidth, found = [];
const near = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
  && a.top < b.bottom - 3 && b.top < a.bottom - 3;
const told = e => `${e.closest('section')?.id ?? ''} ${e.textContent.trim().slice(0, 40)}`;
const seen = e => e.checkVisibility() && !e.closest('dialog');
for (const e of document.querySelectorAll('body *')) {
  const box = e.getBoundingClientRect();
  if (!seen(e) || !box.width || e.closest('svg')) continue;
  const style = getComputedStyle(e), scrolls = e.closest('.scroll');
  if (box.right > wide + 1 && !scrolls) found.push(`beyond the window: ${told(e)}`);
  if (style.display !== 'inline' && e.clientWidth && style.overflowX === 'visible'
      && e.scrollWidth > e.clientWidth + 1) found.push(`wider than its box: ${told(e)}`);
}
for (const svg of document.querySelectorAll('svg')) {
  if (!seen(svg)) continue;
  const frame = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text')].map(e => [e, e.getBoundingClientRect()]);
  const bars = [...svg.querySelectorAll('rect')].map(e => e.getBoundingClientRect());
  texts.forEach(([e, box], i) => {
    if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 3
        || box.bottom > frame.bottom + 3) found.push(`cut by its chart: ${told(e)}`);
    if (e.classList.contains('on') && !bars.some(b => b.left <= box.left && box.right <= b.right))
      found.push(`out of its bar: ${told(e)}`);
    if (e.classList.contains('value') && bars.some(b => near(b, box)))
      found.push(`over a bar: ${told(e)}`);
    texts.slice(i + 1).forEach(([other, place]) => {
      if (near(box, place)) found.push(`over ${told(other)}: ${told(e)}`);
    });
  });
}
const cells = [...document.querySelectorAll('td, dt, dd, .tile, button, h2, h3, h4, summary')];
const boxes = cells.filter(seen).map(e => [e, e.getBoundingClientRect()]);
boxes.forEach(([e, box], i) => boxes.slice(i + 1).forEach(([other, place]) => {
  if (near(box, place) && !e.contains(other) && !other.contains(e))
    found.push(`over ${told(other)}: ${told(e)}`);
}));
return found;
})()"""


def faults(tab: Tab) -> list[str]:
    """Boxes beyond the window or their own box, labels out of their chart or over each other."""
    found: list[str] = tab.value(FAULTS)
    return found
