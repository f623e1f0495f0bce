// When a page is written: at most once a frame, however much is told.

/** A hidden page has no frames, but its title and its alarms must go on. */
const HIDDEN_PAGE_MS = 250;

/** What asks for the page to be written soon. @param {() => void} write */
export function oncePerFrame(write) {
  let isDue = false;
  const run = () => {
    isDue = false;
    write();
  };
  const soon = () => {
    if (isDue) return;
    isDue = true;
    if (document.hidden) setTimeout(run, HIDDEN_PAGE_MS);
    else requestAnimationFrame(run);
  };
  // What was to be written in a frame that does not come any more is written all the same.
  document.addEventListener("visibilitychange", () => {
    isDue = false;
    soon();
  });
  return soon;
}
