/** Links and references of entities. @module */
import type { Attributes } from '../model/schema.ts'

/** Links to the sub-collections of an entity. */
export const links = (href: string, ...names: readonly string[]): Attributes[] =>
  names.map(rel => ({ href: `${href}/${rel}`, rel }))
