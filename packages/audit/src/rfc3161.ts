import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { AuditError, reasonOf } from './errors.js';

/**
 * Time stamps by RFC 3161 over checkpoints: the request, and the check of an answer. ASN.1, CMS and certificate paths are
 * pkijs's, which is loaded only when a time stamp is wanted.
 */

const sha256Oid = '2.16.840.1.101.3.4.2.1';
const tstInfoOid = '1.2.840.113549.1.9.16.1.4';
const timeStampingOid = '1.3.6.1.5.5.7.3.8';
const extendedKeyUsageOid = '2.5.29.37';
const signingCertificateOid = '1.2.840.113549.1.9.16.2.12';
const signingCertificateV2Oid = '1.2.840.113549.1.9.16.2.47';

type Pkijs = typeof import('pkijs');

export interface TimestampRequest {
  readonly der: Buffer;
  readonly nonce: Buffer;
}

function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}

function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** A TimeStampReq over the SHA-256 of `data`, with a nonce, asking for the authority's certificate. */
export async function timestampRequest(data: Uint8Array): Promise<TimestampRequest> {
  const [pkijs, asn1] = await Promise.all([import('pkijs'), import('asn1js')]);
  const nonce = randomBytes(8);
  // A DER integer: positive, and shortest.
  nonce[0] = (nonce[0]! & 0x7f) | 0x40;
  const request = new pkijs.TimeStampReq({
    version: 1,
    messageImprint: new pkijs.MessageImprint({
      hashAlgorithm: new pkijs.AlgorithmIdentifier({
        algorithmId: sha256Oid,
        algorithmParams: new asn1.Null(),
      }),
      hashedMessage: new asn1.OctetString({ valueHex: toArrayBuffer(sha256(data)) }),
    }),
    nonce: new asn1.Integer({ valueHex: toArrayBuffer(nonce) }),
    certReq: true,
  });
  return { der: Buffer.from(request.toSchema().toBER()), nonce };
}

interface Parsed {
  readonly signed: InstanceType<Pkijs['SignedData']>;
  readonly info: InstanceType<Pkijs['TSTInfo']>;
}

function parse(pkijs: Pkijs, response: Uint8Array): Parsed {
  const answer = pkijs.TimeStampResp.fromBER(toArrayBuffer(response));
  const { status } = answer.status;
  if (status !== 0 && status !== 1) throw failed(`the authority refused (status ${status})`);
  if (answer.timeStampToken === undefined) throw failed('the answer holds no time stamp');
  const signed = new pkijs.SignedData({ schema: answer.timeStampToken.content });
  const { eContentType, eContent } = signed.encapContentInfo;
  if (eContentType !== tstInfoOid || eContent === undefined) {
    throw failed('what is signed is no time stamp');
  }
  return { signed, info: pkijs.TSTInfo.fromBER(eContent.getValue()) };
}

/**
 * Reads the answer to a request: it must be granted, and of this data and nonce. Gives the time in ms. Who signed it is not
 * checked here: that needs the roots that only a verifier brings. Throws `anchor_failed`.
 */
export async function readTimestamp(
  response: Uint8Array,
  data: Uint8Array,
  nonce: Uint8Array,
): Promise<number> {
  const pkijs = await import('pkijs');
  try {
    const { info } = parse(pkijs, response);
    const stamped = Buffer.from(info.messageImprint.hashedMessage.valueBlock.valueHexView);
    const algorithm = info.messageImprint.hashAlgorithm.algorithmId;
    if (algorithm !== sha256Oid || !stamped.equals(sha256(data))) {
      throw failed('the time stamp is of something else');
    }
    const given = info.nonce === undefined ? undefined : info.nonce.valueBlock.valueHexView;
    if (given === undefined || !Buffer.from(given).equals(Buffer.from(nonce))) {
      throw failed('the time stamp answers another request');
    }
    return info.genTime.getTime();
  } catch (error) {
    throw asFailed(error);
  }
}

/** One PEM text's certificates. Throws `bad_key`. */
export function parseCertificates(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 || blocks.length > 100) {
    throw new AuditError('bad_key', 'expected PEM certificates');
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new AuditError('bad_key', `not a certificate: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * Checks a time stamp against trusted roots: signature, certificate path as of the stamp's own time, key usage, the
 * signed certificate's hash, and that it is of `data`. Gives the time in ms. Throws `anchor_failed`.
 */
export async function verifyTimestamp(
  response: Uint8Array,
  data: Uint8Array,
  roots: readonly X509Certificate[],
): Promise<number> {
  const pkijs = await import('pkijs');
  try {
    const { signed, info } = parse(pkijs, response);
    if (signed.signerInfos.length !== 1) throw failed('it has not one signature');
    const trustedCerts = roots.map((root) => pkijs.Certificate.fromBER(toArrayBuffer(root.raw)));
    const result = await signed.verify({
      signer: 0,
      data: toArrayBuffer(data),
      trustedCerts,
      checkChain: true,
      extendedMode: true,
    });
    const certificate = result.signerCertificate;
    if (result.signatureVerified !== true || result.signerCertificateVerified !== true) {
      throw failed('its signature does not hold');
    }
    if (certificate === null || certificate === undefined) throw failed('its signer is not known');
    checkUsage(pkijs, certificate);
    checkSigningCertificate(signed, certificate);
    return info.genTime.getTime();
  } catch (error) {
    throw asFailed(error);
  }
}

/** RFC 3161 §2.3: the key is for time stamping alone, and says so as critical. */
function checkUsage(pkijs: Pkijs, certificate: InstanceType<Pkijs['Certificate']>): void {
  const usage = certificate.extensions?.find(({ extnID }) => extnID === extendedKeyUsageOid);
  const purposes =
    usage?.parsedValue instanceof pkijs.ExtKeyUsage ? usage.parsedValue.keyPurposes : [];
  if (usage?.critical !== true || purposes.length !== 1 || purposes[0] !== timeStampingOid) {
    throw failed("its signer's certificate is not for time stamping");
  }
}

/** RFC 5816: a signed attribute names the certificate by its hash, so that no other of the same key can stand in. */
function checkSigningCertificate(
  signed: InstanceType<Pkijs['SignedData']>,
  certificate: InstanceType<Pkijs['Certificate']>,
): void {
  const der = Buffer.from(certificate.toSchema(true).toBER());
  const attributes = signed.signerInfos[0]?.signedAttrs?.attributes ?? [];
  const own = attributes.find(
    ({ type }) => type === signingCertificateV2Oid || type === signingCertificateOid,
  );
  const value = Buffer.concat(
    (own?.values ?? []).map((each: { toBER(): ArrayBuffer }) => Buffer.from(each.toBER())),
  );
  // The hash is an OCTET STRING of its length in the first certificate id.
  const hash = own?.type === signingCertificateOid ? 'sha1' : 'sha256';
  const digests = own?.type === signingCertificateOid ? [hash] : [hash, 'sha384', 'sha512'];
  const named = digests.some((name) => {
    const digest = createHash(name).update(der).digest();
    return value.includes(Buffer.concat([Buffer.of(4, digest.length), digest]));
  });
  if (!named) throw failed('it does not name the certificate that signed it');
}

function failed(reason: string): AuditError {
  return new AuditError('anchor_failed', `the time stamp does not hold: ${reason}`);
}

function asFailed(error: unknown): AuditError {
  return error instanceof AuditError ? error : failed(reasonOf(error));
}
