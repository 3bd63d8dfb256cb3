// Dark or light: as the system has it, until one is chosen.

const STORED = "isomem.theme";

const isDark = () => (document.documentElement.dataset.theme ??
  (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

/** Changes to the other theme, and keeps it. Returns its name. */
export function otherTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(STORED, theme);
  } catch {
    // Storage may be forbidden. The theme then lasts as long as the page.
  }
  return theme;
}
