/** Inlines what links point to: `follow=nics.reported_devices,disk_attachments.disk` (CONTRACT §1.5). @module */
import { ApiError } from './api-error.ts'
import type { Call } from './call.ts'
import { API_PATH, TOP_LEVEL, attributesOf, isTypeName } from '../model/schema.ts'
import type { Attributes, TypeName, Value } from '../model/schema.ts'

type Fetch = Call['fetch']

/** Each link of a list multiplies what is to be looked up. */
const MAX_DEPTH = 6

/** @throws ApiError 400 when the type has no such link */
export const follow = async (type: TypeName, entity: Attributes, paths: string, fetch: Fetch): Promise<Attributes> => {
  let followed = entity
  for (const path of paths.split(',').filter(Boolean)) {
    const names = path.split('.')
    if (names.length > MAX_DEPTH) throw new ApiError(400, 'Operation Failed', `Follow: ${path} is too deep`)
    followed = await followPath(type, followed, names, fetch)
  }
  return followed
}

const followPath = async (
  type: TypeName,
  entity: Attributes,
  [name = '', ...rest]: readonly string[],
  fetch: Fetch,
): Promise<Attributes> => {
  const attribute = attributesOf(type).get(name)
  if (attribute === undefined || !isTypeName(attribute.type))
    throw new ApiError(400, 'Operation Failed', `Follow: ${type} has no link ${name}`)
  const linked = attribute.type
  const deeper = async (item: Attributes): Promise<Attributes> =>
    rest.length === 0 ? item : await followPath(linked, item, rest, fetch)
  const present = entity[name]
  if (!attribute.isList) {
    if (present === undefined) return entity
    const target = await resolve(linked, present as Attributes, fetch)
    return { ...entity, [name]: await deeper(target) }
  }
  const items = await listItems(linked, entity, name, present, fetch)
  const followed: Attributes[] = []
  for (const item of items) followed.push(await deeper(item))
  return { ...entity, [name]: followed }
}

const listItems = async (
  type: TypeName,
  entity: Attributes,
  name: string,
  present: Value | undefined,
  fetch: Fetch,
): Promise<readonly Attributes[]> => {
  if (present !== undefined) {
    const items: Attributes[] = []
    for (const item of present as readonly Attributes[]) items.push(await resolve(type, item, fetch))
    return items
  }
  const links = (entity['link'] ?? []) as readonly Attributes[]
  const link = links.find(({ rel }) => String(rel).replaceAll('_', '') === name.replaceAll('_', ''))
  if (link === undefined) return []
  return (await fetch(String(link['href']))).list ?? []
}

/** The whole entity behind a link; a link alone has an id and perhaps an href. */
const resolve = async (type: TypeName, link: Attributes, fetch: Fetch): Promise<Attributes> => {
  const names = Object.keys(link).filter(name => name !== 'id' && name !== 'href')
  const path = TOP_LEVEL[type]
  const href = link['href'] ?? (path === undefined ? undefined : `${API_PATH}/${path}/${String(link['id'])}`)
  if (names.length > 0 || href === undefined) return link
  return (await fetch(String(href))).entity ?? link
}
