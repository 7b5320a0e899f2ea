/** The address of an engine, however an administrator writes it. @module */
import { GranaryError } from '@granary/core'

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/**
 * `engine.example`, `https://engine.example/ovirt-engine/api` and all between become `https://engine.example/ovirt-engine`.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is no http(s) address, or holds a name and password
 */
export const engineBase = (address: string): string => {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `https://${address}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '') {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `engine: expected an address such as https://engine.example`, {
      hint: 'give host name and port only; user and password have keys of their own',
    })
  }
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname)) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `engine ${url.origin}: a password is sent over https only`, {
      hint: 'write https://, and give the certificate authority',
    })
  }
  const path = url.pathname.replace(/\/+$/, '').replace(/\/api(\/v4)?$/, '')
  return `${url.origin}${path === '' ? '/ovirt-engine' : path}`
}
