// Pictures in their frames: whole, or enlarged alike at the same place.
const byId = (id) => document.getElementById(id);
const frames = [...document.querySelectorAll(".frame")];
const images = frames.map((frame) => frame.firstElementChild);
const MAX_ZOOM = 8;
const SLOP = 6; // px that a finger trembles in a tap

const Viewer = (() => {
  const view = { zoom: null, x: 0.5, y: 0.5 }; // zoom null: whole; 1: pixel for pixel
  const pointers = new Map();
  let moved = 0;

  // Width at zoom 1, in CSS px; a smaller picture is enlarged to the larger one's.
  const width = () =>
    Math.max(...images.map((image) => image.naturalWidth)) / devicePixelRatio;
  const wholeWidth = (frame, image) => Math.min(frame.clientWidth, width(),
    frame.clientHeight * image.naturalWidth / image.naturalHeight);
  const wholeZoom = () => Math.max(...frames.map((frame, at) =>
    wholeWidth(frame, images[at]))) / width();

  // Where a side of the picture begins: it covers its frame, or lies in the middle.
  const begin = (frame, side, centre) => side <= frame ? (frame - side) / 2
    : Math.min(0, Math.max(frame - side, frame / 2 - centre * side));

  function draw() {
    frames.forEach((frame, at) => {
      const image = images[at];
      if (!image.naturalWidth) return;
      const wide = view.zoom === null ? wholeWidth(frame, image) : view.zoom * width();
      const high = wide * image.naturalHeight / image.naturalWidth;
      const left = begin(frame.clientWidth, wide, view.x);
      const top = begin(frame.clientHeight, high, view.y);
      image.style.width = `${wide}px`;
      image.style.height = `${high}px`;
      image.style.transform = `translate(${left}px, ${top}px)`;
    });
    const zoomed = view.zoom !== null;
    document.body.classList.toggle("zoomed", zoomed);
    document.body.classList.toggle("large", view.zoom >= 3);
    byId("zoom").setAttribute("aria-pressed", String(zoomed));
  }

  const wideAt = (zoom, at) => zoom === null ? wholeWidth(frames[at], images[at])
    : zoom * width();
  const sizeNow = (at) => {
    const wide = wideAt(view.zoom, at);
    return [wide, wide * images[at].naturalHeight / images[at].naturalWidth];
  };

  // Keep the centre where the first picture still covers its frame.
  function settle() {
    const [wide, high] = sizeNow(0);
    const { clientWidth, clientHeight } = frames[0];
    const within = (centre, side, frame) => side <= frame ? 0.5
      : Math.min(1 - frame / side / 2, Math.max(frame / side / 2, centre));
    view.x = within(view.x, wide, clientWidth);
    view.y = within(view.y, high, clientHeight);
    draw();
  }

  // The point of a picture, in shares of it, under a place in its frame.
  function pointUnder(at, x, y) {
    const [wide, high] = sizeNow(at);
    const frame = frames[at];
    return [(x - begin(frame.clientWidth, wide, view.x)) / wide,
      (y - begin(frame.clientHeight, high, view.y)) / high];
  }

  // Change the zoom so that what is under (x, y) of a frame stays there.
  function zoomTo(zoom, at = 0, x = frames[at].clientWidth / 2,
    y = frames[at].clientHeight / 2) {
    const [pointX, pointY] = pointUnder(at, x, y);
    view.zoom = zoom <= wholeZoom() * 1.001 ? null : Math.min(zoom, MAX_ZOOM);
    const [wide, high] = sizeNow(at);
    view.x = pointX + (frames[at].clientWidth / 2 - x) / wide;
    view.y = pointY + (frames[at].clientHeight / 2 - y) / high;
    settle();
  }

  const nowZoom = () => view.zoom ?? wholeZoom();
  const step = (factor, ...place) => zoomTo(nowZoom() * factor, ...place);

  function toggle(...place) {
    if (view.zoom !== null) zoomTo(0);
    else zoomTo(wholeZoom() < 0.95 ? 1 : 2, ...place);
  }

  function pan(x, y) {
    const [wide, high] = sizeNow(0);
    view.x -= x / wide;
    view.y -= y / high;
    settle();
  }

  function reset() {
    Object.assign(view, { zoom: null, x: 0.5, y: 0.5 });
    draw();
  }

  function onMove(event, at) {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    moved += Math.abs(dx) + Math.abs(dy);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    if (other) {
      const reach = (point) => Math.hypot(point.x - other.x, point.y - other.y);
      const box = frames[at].getBoundingClientRect();
      step(reach(now) / Math.max(1, reach(before)), at,
        (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
    } else if (view.zoom !== null && moved > SLOP) {
      pan(dx, dy);
    }
  }

  frames.forEach((frame, at) => {
    frame.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      if (!pointers.size) moved = 0;
      else moved += SLOP + 1; // two fingers are no tap
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => onMove(event, at));
    frame.addEventListener("pointerup", (event) => {
      const box = frame.getBoundingClientRect();
      const tap = pointers.delete(event.pointerId) && !pointers.size && moved <= SLOP;
      if (tap) toggle(at, event.clientX - box.left, event.clientY - box.top);
    });
    frame.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = frame.getBoundingClientRect();
      const notches = event.deltaY / (event.deltaMode ? 3 : 100);
      step(1.25 ** -notches, at, event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
  });
  addEventListener("resize", draw);
  return { reset, toggle, step, pan, draw };
})();
