/** What the panels of the word share. Runs in the browser. */

/** One muted brick for the word. */
export const looks = { category: 'millrace arrow', color: '#dcb8a3', icon: 'arrow.svg' } as const
