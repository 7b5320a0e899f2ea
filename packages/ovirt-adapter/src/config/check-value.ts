/** Values of the configuration, checked by the table. @module */
import { formatBytes, parseBytes } from '@granary/core'
import type { ValueRule } from './keys.ts'

export type ConfigValue = string | number | boolean

export type CheckedValue = { readonly value: ConfigValue } | { readonly problem: string }

/** What the sample file of the reference product has where something must be filled in. */
const PLACEHOLDER = /^<[^<>]*>$/

/** Reads one value. What is wrong is said without repeating it, where it may be secret. */
export const checkValue = (rule: ValueRule, text: string): CheckedValue => {
  if (PLACEHOLDER.test(text)) return { problem: `it is not filled in: it says ${text}` }
  switch (rule.kind) {
    case 'text':
      return rule.pattern === undefined || rule.pattern.test(text) ? { value: text } : wrong(text, rule.expected ?? '')
    case 'secret':
      return { value: text }
    case 'choice':
      return rule.values.includes(text) ? { value: text } : wrong(text, `one of ${rule.values.join(', ')}`)
    case 'flag':
      return text === 'yes' || text === 'no' ? { value: text === 'yes' } : wrong(text, 'yes or no')
    case 'whole':
      return checkWhole(text, rule)
    case 'bytes':
      return checkBytes(text, rule.min)
  }
}

const checkWhole = (text: string, { min, max }: { min: number; max: number }): CheckedValue => {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  return value >= min && value <= max ? { value } : wrong(text, `a whole number from ${min} to ${max}`)
}

const checkBytes = (text: string, min: number): CheckedValue => {
  try {
    const value = parseBytes(text)
    if (value >= min) return { value }
  } catch {
    // Said below, with the range.
  }
  return wrong(text, `a size of ${formatBytes(min)} or more, such as 100M`)
}

const wrong = (text: string, expected: string): CheckedValue => ({
  problem: `expected ${expected}, found "${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`,
})
