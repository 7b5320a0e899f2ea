/**
 * The text in which LVM keeps its metadata: nested sections, strings, numbers and lists.
 *
 * @see LVM2 lib/config, and libdm/libdm-config.c of the LVM2 sources
 * @module
 */
import { corrupt } from '../../errors.ts'

export type ConfigValue = string | number | readonly (string | number)[]

/** Values and sections by name; a `Map`, as names come from the disk. */
export class ConfigSection {
  readonly name: string
  readonly #entries = new Map<string, ConfigValue | ConfigSection>()

  constructor(name: string) {
    this.name = name
  }

  set(key: string, value: ConfigValue | ConfigSection): void {
    this.#entries.set(key, value)
  }

  section(key: string): ConfigSection | undefined {
    const value = this.#entries.get(key)
    return value instanceof ConfigSection ? value : undefined
  }

  sections(): [name: string, section: ConfigSection][] {
    return [...this.#entries].flatMap(([name, value]) => (value instanceof ConfigSection ? [[name, value]] : []))
  }

  text(key: string): string {
    const value = this.#entries.get(key)
    if (typeof value === 'string') return value
    throw corrupt(`LVM metadata, ${this.name}`, `text in ${key}`, String(value))
  }

  optionalText(key: string): string | undefined {
    const value = this.#entries.get(key)
    return typeof value === 'string' ? value : undefined
  }

  /** A whole number from 0 to 2^53 - 1. */
  number(key: string, fallback?: number): number {
    const value = this.#entries.get(key) ?? fallback
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    throw corrupt(`LVM metadata, ${this.name}`, `a number in ${key}`, String(value))
  }

  list(key: string): readonly (string | number)[] {
    const value = this.#entries.get(key)
    if (Array.isArray(value)) return value as readonly (string | number)[]
    return typeof value === 'string' ? [value] : []
  }
}

const MAX_DEPTH = 32
const TOKEN = /\s+|#[^\n]*|"((?:[^"\\]|\\.)*)"|([{}[\],=])|([^\s"#{}[\],=]+)/gy

type Token = { readonly text: string; readonly kind: 'string' | 'mark' | 'word' }

function* tokensOf(text: string): Generator<Token, void, undefined> {
  TOKEN.lastIndex = 0
  const pattern = new RegExp(TOKEN)
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const [, quoted, mark, word] = match
    if (quoted !== undefined) yield { text: quoted.replaceAll(/\\(.)/gs, '$1'), kind: 'string' }
    else if (mark !== undefined) yield { text: mark, kind: 'mark' }
    else if (word !== undefined) yield { text: word, kind: 'word' }
    if (pattern.lastIndex === text.length) return
  }
  throw corrupt('LVM metadata', 'text in its own form', 'something else')
}

/** @throws GranaryError `GRANARY_CORRUPT` */
export const parseConfig = (text: string): ConfigSection => {
  const root = new ConfigSection('root')
  const stack = [root]
  let key: string | undefined
  const tokens = tokensOf(text)
  for (const token of tokens) {
    const section = stack.at(-1) as ConfigSection
    if (key === undefined) {
      if (token.text === '}' && token.kind === 'mark' && stack.length > 1) stack.pop()
      else if (token.kind === 'mark') throw corrupt('LVM metadata', 'a name', token.text)
      else key = token.text
      continue
    }
    if (token.kind !== 'mark') throw corrupt('LVM metadata', `{ or = after ${key}`, token.text)
    if (token.text === '{') {
      if (stack.length > MAX_DEPTH) throw corrupt('LVM metadata', `at most ${MAX_DEPTH} levels`, stack.length)
      const inner = new ConfigSection(key)
      section.set(key, inner)
      stack.push(inner)
    } else section.set(key, readValue(tokens, token, key))
    key = undefined
  }
  if (stack.length > 1) throw corrupt('LVM metadata', 'its end', `an open section ${stack.at(-1)?.name ?? ''}`)
  return root
}

const readValue = (tokens: Iterator<Token, void, undefined>, sign: Token, key: string): ConfigValue => {
  const next = (): Token => {
    const { value, done } = tokens.next()
    if (done === true || value === undefined) throw corrupt('LVM metadata', `a value of ${key}`, 'its end')
    return value
  }
  if (sign.text !== '=') throw corrupt('LVM metadata', `{ or = after ${key}`, sign.text)
  const first = next()
  if (first.kind !== 'mark') return scalar(first)
  if (first.text !== '[') throw corrupt('LVM metadata', `a value of ${key}`, first.text)
  const list: (string | number)[] = []
  for (let token = next(); !(token.kind === 'mark' && token.text === ']'); token = next()) {
    if (token.kind !== 'mark') list.push(scalar(token))
    else if (token.text !== ',') throw corrupt('LVM metadata', `a list in ${key}`, token.text)
  }
  return list
}

const scalar = ({ text, kind }: Token): string | number =>
  kind === 'word' && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
