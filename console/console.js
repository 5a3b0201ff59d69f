/* The console shows what the admin API says, every two seconds while the page is seen. It has no state of its own but the token. */

const REFRESH_MS = 2_000;
const ROWS = 100;

const $ = (selector) => document.querySelector(selector);
const tokenForm = $('#token');
const filterForm = $('#filter');

async function get(path) {
  const token = sessionStorage.getItem('token');
  const response = await fetch(path, { headers: token ? { authorization: `Bearer ${token}` } : {} });
  tokenForm.hidden = response.status !== 401;
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** Cells are strings, or [text, class]. Text only: what devices say about themselves is never markup. */
function fill(table, rows, nothing) {
  const body = table.tBodies[0];
  body.replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement('tr');
      for (const cell of cells) {
        const [text, name] = [cell].flat();
        const column = row.insertCell();
        column.textContent = text ?? '–';
        if (name) column.className = name;
      }
      return row;
    }),
  );
  if (rows.length > 0) return;
  const cell = body.insertRow().insertCell();
  cell.colSpan = table.tHead.rows[0].cells.length;
  cell.className = 'empty';
  cell.textContent = nothing;
}

const capability = ([tag, value]) => (value === true ? tag : `${tag}=${value}`);

async function showHealth() {
  const health = $('#health');
  try {
    const { status, reasons = [] } = await (await fetch('readyz')).json();
    health.className = status === 'ready' ? 'ready' : 'trouble';
    health.textContent = [status, ...reasons].join(': ');
  } catch {
    health.className = 'trouble';
    health.textContent = 'no answer';
  }
}

async function showRegistrations() {
  const { registrations, next } = await get(`api/v1/registrations?limit=${ROWS}`);
  const rows = registrations.flatMap(({ aor, bindings }) =>
    bindings.map(({ deviceName, instance, publicGruu, contact, capabilities, expiresInSeconds }) => [
      aor,
      deviceName,
      instance,
      publicGruu,
      contact,
      Object.entries(capabilities ?? {})
        .filter(([tag]) => tag !== '+sip.instance')
        .map(capability)
        .join(' '),
      `${expiresInSeconds} s`,
    ]),
  );
  if (next !== undefined) rows.push(['… and more: parley registrations']);
  fill($('#registrations'), rows, 'No device is registered.');
}

async function showTrail() {
  const query = new URLSearchParams({ limit: ROWS });
  for (const [name, value] of new FormData(filterForm))
    if (value.trim() !== '') query.set(name, value.trim());
  const { events } = await get(`api/v1/trail?${query}`);
  fill(
    $('#trail'),
    events.map(({ at, outcome, code, clause, subject, trace, detail }) => [
      at,
      [outcome, outcome],
      code,
      clause,
      subject,
      trace,
      detail,
    ]),
    'No decision yet.',
  );
}

async function refresh() {
  if (document.hidden) return;
  await showHealth();
  await Promise.allSettled([showRegistrations(), showTrail()]);
}

filterForm.addEventListener('input', () => void showTrail().catch(() => {}));
filterForm.addEventListener('submit', (event) => event.preventDefault());
tokenForm.addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('token', new FormData(tokenForm).get('token'));
  void refresh();
});
document.addEventListener('visibilitychange', () => void refresh());

async function run() {
  await refresh();
  setTimeout(run, REFRESH_MS);
}
void run();
