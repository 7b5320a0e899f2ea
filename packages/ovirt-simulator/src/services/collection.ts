/** A collection that can be searched and cut, as all large ones can (CONTRACT §1.5). @module */
import { listOf } from '../http/answer.ts'
import type { Answer } from '../http/answer.ts'
import { flag, integer } from '../http/call.ts'
import type { Call } from '../http/call.ts'
import type { Attributes, TypeName } from '../model/schema.ts'
import type { World } from '../model/world.ts'
import { SEARCH_FIELDS } from '../search/fields.ts'
import { parseQuery, search } from '../search/query.ts'

export interface ListedOptions {
  /** Name of the collection, which has its search fields. */
  readonly name: string
  readonly type: TypeName
  readonly entities: readonly Attributes[]
}

/** @throws ApiError 400 when the search cannot be read */
export const listed = (world: World, call: Call, { name, type, entities }: ListedOptions): Answer => {
  // Links that are followed take `max` away.
  const max = call.parameters.has('follow') ? undefined : integer(call, 'max')
  const text = call.parameters.get('search')
  const fieldsOf = SEARCH_FIELDS[name]
  if (text === undefined || text.trim() === '' || fieldsOf === undefined)
    return listOf(type, max === undefined || max < 0 ? entities : entities.slice(0, max))
  const options = { isCaseSensitive: flag(call, 'case_sensitive'), max }
  return listOf(
    type,
    search(entities, parseQuery(text), entity => fieldsOf(world, entity), options),
  )
}
