// What this browser remembers between visits: initials, sound, theme. Where storage is refused, it forgets.

/** @param {string} name @param {string} text */
export function remember(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch {
    // Refused: asked for again after a reload.
  }
}

/** @param {string} name */
export function recall(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}
