/**
 * Secrets of an OVF: found, taken out, and put back. The engine writes cloud-init's and sysprep's as attributes of `VmInit`;
 * snapshots carry a whole configuration of their own, and TPM state is as good as a key.
 *
 * @see docs/formats/ovirt-machine.md, "Secrets"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { SecretValue } from '../machine/machine-record.ts'
import { attributeOf, elements, localName, parseXml, writeXml } from './xml.ts'
import type { XmlElement, XmlNode } from './xml.ts'

const SECRET_ATTRIBUTES = new Set(['rootPassword', 'authorizedKeys', 'customScript', 'winKey'])
const SECRET_TEXTS = new Set([...SECRET_ATTRIBUTES, 'VmConfiguration'])
/** All text inside these is. */
const SECRET_SUBTREES = new Set(['vmPayload'])

export interface SplitOvf {
  /** The same document; where a secret stood, there is an empty value. */
  readonly xml: string
  readonly secrets: readonly SecretValue[]
}

/** @throws GranaryError as `parseXml` */
export const splitOvfSecrets = (xml: string): SplitOvf => {
  const nodes = parseXml(xml)
  const secrets: SecretValue[] = []
  let index = 0
  const visit = (element: XmlElement, isInside: boolean): void => {
    const own = index++
    for (const [name, raw] of element.attributes) {
      if (!SECRET_ATTRIBUTES.has(localName(name)) || raw === '') continue
      secrets.push({ element: own, attribute: name, raw })
      element.attributes.set(name, '')
    }
    const raw = isInside || SECRET_TEXTS.has(localName(element.name)) ? takeText(element) : ''
    if (raw !== '') secrets.push({ element: own, raw })
    const isSubtree = isInside || isSecretSubtree(element)
    for (const child of element.children) if (child.kind === 'element') visit(child, isSubtree)
  }
  for (const node of nodes) if (node.kind === 'element') visit(node, false)
  return { xml: writeXml(nodes), secrets }
}

const isSecretSubtree = (element: XmlElement): boolean =>
  SECRET_SUBTREES.has(localName(element.name)) ||
  (attributeOf(element, 'type') ?? '').endsWith('VmExternalDataSection_Type')

/** Text between elements is layout, and stays. */
const takeText = (element: XmlElement): string => {
  if (element.children.some(node => node.kind === 'element')) return ''
  const raw = element.children.map(node => (node.kind === 'element' ? '' : node.raw)).join('')
  element.children.length = 0
  return raw
}

/**
 * Puts secrets back where they were.
 *
 * @throws GranaryError as `parseXml`; `GRANARY_CORRUPT` when they are of another document
 */
export const joinOvfSecrets = ({ xml, secrets }: SplitOvf): string => {
  const nodes: XmlNode[] = parseXml(xml)
  const all = [...elements(nodes)]
  for (const { element: index, attribute, raw } of secrets) {
    const element = all[index]
    if (element === undefined || (attribute !== undefined && element.attributes.get(attribute) !== '')) {
      throw new GranaryError('GRANARY_CORRUPT', 'the secrets of the OVF do not belong to it')
    }
    if (attribute === undefined) element.children.splice(0, element.children.length, { kind: 'text', raw })
    else element.attributes.set(attribute, raw)
  }
  return writeXml(nodes)
}
