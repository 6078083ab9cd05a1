/** Certificates are made in one place: the TLS front of the benchmark. */
export { type Authority, type Certificate, createAuthority } from '../../src/bench/certificate.js'
