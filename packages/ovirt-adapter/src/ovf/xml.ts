/**
 * XML as a tree that is written back as it was read: values keep their entities, so nothing is decoded that is not asked for.
 * Document types, and with them entities of the document's own, are refused; size and depth are bounded.
 *
 * @see Extensible Markup Language (XML) 1.0, sections 2.4 (character data), 4.6 (predefined entities)
 * @module
 */
import { GranaryError } from '@granary/core'
import { XMLParser, XMLValidator } from 'fast-xml-parser'

export interface XmlElement {
  readonly kind: 'element'
  readonly name: string
  /** Values as they stand in the document, with entities, in document order. */
  readonly attributes: Map<string, string>
  readonly children: XmlNode[]
}

/** Text, a CDATA section, a comment or a processing instruction: `raw` is what stands in the document. */
export interface XmlLeaf {
  readonly kind: 'text' | 'other'
  raw: string
}

export type XmlNode = XmlElement | XmlLeaf

/** Far above any machine's configuration: one of 20 disks with 100 snapshots takes about 3 MiB. */
const MAX_XML_BYTES = 32 * 1024 ** 2
const MAX_DEPTH = 64

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  processEntities: false,
  cdataPropName: '#cdata',
  commentPropName: '#comment',
  maxNestedTags: MAX_DEPTH,
  strictReservedNames: true,
})

/**
 * Reads a document; gives back its top-level nodes, one of them the root element.
 *
 * @throws GranaryError `GRANARY_LIMIT` when it is too large; `GRANARY_CORRUPT` when it is not well-formed, is nested too deeply,
 *   or has a document type
 */
export const parseXml = (text: string): XmlNode[] => {
  if (text.length > MAX_XML_BYTES) {
    throw new GranaryError(
      'GRANARY_LIMIT',
      `an XML document of ${text.length} characters, more than ${MAX_XML_BYTES}`,
      {
        detail: { length: text.length, limit: MAX_XML_BYTES },
      },
    )
  }
  if (/<!(?:DOCTYPE|ENTITY)/i.test(text)) throw malformed('it has a document type, which is never resolved')
  try {
    const verdict = XMLValidator.validate(text)
    if (verdict !== true) throw malformed(`line ${verdict.err.line}: ${verdict.err.code}`)
    return nodesOf(parser.parse(text) as readonly ParsedNode[])
  } catch (error) {
    if (error instanceof GranaryError) throw error
    throw malformed(/nested/i.test(String(error)) ? `it is nested more than ${MAX_DEPTH} deep` : 'it cannot be read')
  }
}

/** The parser's messages may quote the document, which may hold secrets: ours don't. */
const malformed = (reason: string): GranaryError => new GranaryError('GRANARY_CORRUPT', `no valid XML: ${reason}`)

/** What the parser gives: one key that is the name, beside `:@` for the attributes. */
type ParsedNode = Readonly<Record<string, unknown>>

const nodesOf = (parsed: readonly ParsedNode[]): XmlNode[] => parsed.map(nodeOf)

const nodeOf = (parsed: ParsedNode): XmlNode => {
  const name = Object.keys(parsed).find(key => key !== ':@')
  if (name === undefined) throw malformed('an element without a name')
  const content = parsed[name]
  const attributes = new Map(Object.entries((parsed[':@'] ?? {}) as Record<string, string>))
  if (name === '#text') return { kind: 'text', raw: String(content) }
  if (name === '#cdata') return { kind: 'other', raw: `<![CDATA[${innerText(content)}]]>` }
  if (name === '#comment') return { kind: 'other', raw: `<!--${innerText(content)}-->` }
  if (name.startsWith('?')) return { kind: 'other', raw: `<${name}${writeAttributes(attributes)}?>` }
  return { kind: 'element', name, attributes, children: nodesOf(content as readonly ParsedNode[]) }
}

const innerText = (content: unknown): string =>
  (content as readonly ParsedNode[]).map(node => String(node['#text'] ?? '')).join('')

export const writeXml = (nodes: readonly XmlNode[]): string => nodes.map(writeNode).join('')

const writeNode = (node: XmlNode): string => {
  if (node.kind !== 'element') return node.raw
  const start = `<${node.name}${writeAttributes(node.attributes)}`
  return node.children.length === 0 ? `${start}/>` : `${start}>${writeXml(node.children)}</${node.name}>`
}

const writeAttributes = (attributes: ReadonlyMap<string, string>): string =>
  [...attributes].map(([name, raw]) => ` ${name}="${raw.replaceAll('"', '&quot;')}"`).join('')

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/** The value of text as it stands in the document. A reference that is none of XML's own stays as it is. */
export const decodeXml = (raw: string): string =>
  raw.replaceAll(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(lt|gt|amp|quot|apos));/gi, (whole, hex, decimal, name) => {
    if (typeof name === 'string') return NAMED[name] ?? whole
    const code = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number(decimal)
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : whole
  })

/** A value as it may stand in text and in attributes. */
export const encodeXml = (value: string): string =>
  value.replaceAll(/[<>&"]/g, character => `&${Object.keys(NAMED).find(name => NAMED[name] === character) ?? ''};`)

/** All elements below and at `nodes`, in document order. */
export function* elements(nodes: readonly XmlNode[]): Generator<XmlElement, void, undefined> {
  for (const node of nodes) {
    if (node.kind !== 'element') continue
    yield node
    yield* elements(node.children)
  }
}

/** Name without its prefix. */
export const localName = (name: string): string => name.slice(name.indexOf(':') + 1)

/** An attribute by its name without prefix, decoded. */
export const attributeOf = (element: XmlElement, name: string): string | undefined => {
  for (const [key, raw] of element.attributes) if (localName(key) === name) return decodeXml(raw)
  return undefined
}

/** Sets an attribute that is there; one that is not is not added. */
export const setAttribute = (element: XmlElement, name: string, value: string): void => {
  for (const key of element.attributes.keys())
    if (localName(key) === name) element.attributes.set(key, encodeXml(value))
}

/** The text of an element without its own elements, decoded. */
export const textOf = (element: XmlElement): string =>
  element.children.map(node => (node.kind === 'text' ? decodeXml(node.raw) : '')).join('')

export const setText = (element: XmlElement, value: string): void => {
  element.children.splice(0, element.children.length, { kind: 'text', raw: encodeXml(value) })
}

export const childrenOf = (element: XmlElement, name: string): XmlElement[] =>
  element.children.filter((node): node is XmlElement => node.kind === 'element' && localName(node.name) === name)
