// The shapes that say a state without its colour. They become part of the page, so that they are there when the daemon is not.

const RETRY_MS = 2_000;
const ask = () => fetch("icons.svg").catch(() => null);

export async function loadIcons() {
  let answer = await ask();
  while (!answer?.ok) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    answer = await ask();
  }
  const icons = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  icons.classList.add("unseen");
  icons.setAttribute("aria-hidden", "true");
  document.body.prepend(icons);
}
