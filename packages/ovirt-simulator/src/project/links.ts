/** Links and references of entities. @module */
import { API_PATH } from '../model/schema.ts'
import type { Attributes } from '../model/schema.ts'

/** Links to the sub-collections of an entity. */
export const links = (href: string, ...names: readonly string[]): Attributes[] =>
  names.map(rel => ({ href: `${href}/${rel}`, rel }))

/** A reference to what lives below another entity, and so needs its path. */
export const reference = (path: string, id: string): Attributes => ({ href: `${API_PATH}/${path}/${id}`, id })
