/** Ids as engines make them. @module */

/** The blank template, and every machine's one CD-ROM drive. */
export const BLANK_ID = '00000000-0000-0000-0000-000000000000'
