/** The same model as XML: ids and hrefs are attributes, dates ISO 8601 (CONTRACT §0.1). @module */
import { XMLBuilder, XMLParser, XMLValidator } from 'fast-xml-parser'
import { UsageError } from '../http/api-error.ts'
import { API_PATH, TOP_LEVEL, attributesOf, elementName, isTypeName, snakeCase } from '../model/schema.ts'
import type { Attributes, TypeName, Value } from '../model/schema.ts'
import { decodeScalar } from './json.ts'
import type { Knows } from './json.ts'

type XmlNode = Record<string, unknown>

const builder = new XMLBuilder({ attributeNamePrefix: '@', ignoreAttributes: false, format: true, indentBy: '    ' })
const parser = new XMLParser({
  attributeNamePrefix: '@',
  ignoreAttributes: false,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: true,
})
const HEADER = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

export const encodeEntityXml = (type: TypeName, entity: Attributes): string =>
  HEADER + builder.build({ [snakeCase(type)]: node(type, entity) })

export const encodeListXml = (type: TypeName, entities: readonly Attributes[]): string =>
  HEADER + builder.build({ [`${snakeCase(type)}s`]: { [snakeCase(type)]: entities.map(item => node(type, item)) } })

const node = (type: TypeName, entity: Attributes): XmlNode => {
  const known = attributesOf(type)
  const id = entity['id'] as string | undefined
  const path = TOP_LEVEL[type]
  const href = entity['href'] ?? (id === undefined || path === undefined ? undefined : `${API_PATH}/${path}/${id}`)
  const answer: XmlNode = { ...(href !== undefined && { '@href': href }), ...(id !== undefined && { '@id': id }) }
  const links = (value: Value): XmlNode[] =>
    (value as readonly Attributes[]).map(link => ({ '@href': link['href'], '@rel': link['rel'] }))
  for (const [name, value] of Object.entries(entity)) {
    if (value === undefined || name === 'id' || name === 'href') continue
    if (name === 'link') answer['link'] = links(value)
    else if (name === 'actions') answer['actions'] = { link: links(value) }
    else {
      const attribute = known.get(name)
      if (attribute === undefined) throw new TypeError(`${type} has no attribute ${name}`)
      const { type: valueType, isList } = attribute
      answer[name] = isList
        ? { [elementName(attribute)]: (value as readonly Value[]).map(item => encodeValue(valueType, item)) }
        : encodeValue(valueType, value)
    }
  }
  return answer
}

const encodeValue = (type: string, value: Value): unknown => {
  if (isTypeName(type)) return node(type, value as Attributes)
  return type === 'date' ? new Date(value as number).toISOString() : String(value as string)
}

/**
 * Reads a body of the given type.
 *
 * @throws UsageError when it is no XML, or has elements the type does not have
 */
export const decodeXml = (type: TypeName, text: string, knows: Knows): Attributes => {
  if (XMLValidator.validate(text) !== true) throw new UsageError('the body is no XML')
  const document = parser.parse(text) as XmlNode
  const [name] = Object.keys(document).filter(key => !key.startsWith('?'))
  if (name !== snakeCase(type)) throw new UsageError(`<${name}>: expected <${snakeCase(type)}>`)
  return decodeNode(type, document[name], knows)
}

const decodeNode = (type: TypeName, source: unknown, knows: Knows): Attributes => {
  const entity: Record<string, Value> = {}
  if (typeof source !== 'object' || source === null) return entity
  const known = attributesOf(type)
  for (const [key, value] of Object.entries(source)) {
    const name = key.replace('@', '')
    const attribute = known.get(name)
    if (name === 'link' || name === 'actions' || name === 'href' || name === '#text') continue
    if (attribute === undefined || !knows(name)) {
      if (name !== 'id') throw new UsageError(`unexpected element <${name}> in ${type}`)
      entity['id'] = String(value)
    } else if (attribute.isList) {
      const items = (value as XmlNode | '')[elementName(attribute) as never] as unknown
      const list = items === undefined ? [] : Array.isArray(items) ? items : [items]
      entity[name] = list.map(item => decodeOne(name, attribute.type, item, knows))
    } else entity[name] = decodeOne(name, attribute.type, value, knows)
  }
  return entity
}

const decodeOne = (name: string, type: string, value: unknown, knows: Knows): Value =>
  isTypeName(type) ? decodeNode(type, value, knows) : decodeScalar(name, type, value as string)
