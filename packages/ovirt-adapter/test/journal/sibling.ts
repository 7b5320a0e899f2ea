/** The path of a compiled file beside another. @module */
import { fileURLToPath } from 'node:url'

export const siblingOf = (url: string, name: string): string => fileURLToPath(new URL(`${name}.js`, url))
