/** The version of the command line. @module */
export const VERSION = '0.1.0'
