import Srf from 'drachtio-srf';

/**
 * The yardstick for sessions with two legs: drachtio-srf's createB2BUA and nothing more, on the drachtio-server whose admin port
 * and secret are the arguments. Bindings are in memory; GRUUs only look like ones, for the scenarios that read them.
 */
const [, , port = '', secret = ''] = process.argv;
const srf = new Srf();
const contacts = new Map<string, string>();

srf.on('connect', () => process.stdout.write('connected\n'));
srf.on('error', (error) => {
  throw error;
});

srf.use('register', (request, response) => {
  const [contact] = request.getParsedHeader('contact');
  const { user = '' } = Srf.parseUri(request.getParsedHeader('to').uri) ?? {};
  if (contact) contacts.set(user, contact.uri);
  const gruus = `pub-gruu="sip:${user}@ims.test;gr=urn:uuid:0";temp-gruu="sip:${user}-t@ims.test;gr"`;
  response.send(200, { headers: { Contact: `<${contact?.uri}>;expires=3600;${gruus}` } });
});

srf.invite((request, response) => {
  const { user = '' } = Srf.parseUri(request.uri) ?? {};
  const to = contacts.get(user);
  if (to === undefined) {
    response.send(480);
    return;
  }
  srf
    .createB2BUA(request, response, to, { proxyRequestHeaders: ['Accept-Contact', 'Contribution-ID'] })
    .then(({ uas, uac }) => {
      uas.on('destroy', () => void uac.destroy());
      uac.on('destroy', () => void uas.destroy());
    })
    .catch(() => undefined); // the caller has its answer
});

void srf.connect({ host: '127.0.0.1', port: Number(port), secret });
