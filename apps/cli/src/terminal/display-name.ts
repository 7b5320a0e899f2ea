/** Text that others wrote, made fit to be shown. @module */

/** What a guest, an image or a server calls something never steers the terminal it is shown on. */
export const displayName = (text: string): string =>
  text.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    character => `\\u{${(character.codePointAt(0) as number).toString(16)}}`,
  )
