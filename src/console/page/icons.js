// The shapes that say a state without its colour. They become part of the page, so that they are there when the daemon is not.

export async function loadIcons() {
  const answer = await fetch("icons.svg");
  if (!answer.ok) throw new Error(`the daemon answered ${answer.status}`);
  const icons = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  icons.classList.add("unseen");
  icons.setAttribute("aria-hidden", "true");
  document.body.prepend(icons);
}
