/** The engine's address, however it is written. @module */
import type { CheckedValue } from './check-value.ts'

/**
 * `engine.example`, `engine.example:8443`, `https://engine.example/ovirt-engine/api`: all become `https://HOST/ovirt-engine`.
 * Only HTTPS: the password goes there.
 */
export const engineUrlOf = (text: string): CheckedValue => {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  if (url === undefined || url.hostname === '' || url.search !== '' || url.hash !== '')
    return { problem: `expected the URL or the address of an engine, found "${text.slice(0, 200)}"` }
  if (url.username !== '' || url.password !== '') return { problem: 'the account does not belong into the URL' }
  if (url.protocol !== 'https:')
    return { problem: `expected https, found ${url.protocol.slice(0, -1)}: the password goes there` }
  const path = url.pathname.replace(/\/+$/, '').replace(/\/api(?:\/v4)?$/, '')
  return { value: `https://${url.host}${path === '' ? '/ovirt-engine' : path}` }
}
