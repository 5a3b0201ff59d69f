#!/bin/sh
# A 1-1 session becomes a group (OMA CPM, Figure 9), with SIPp for alice, for bob with two devices and for carol:
#
#   ./group-extend.sh [replaced | carol-first | refuses | gone | restart]
#
#   replaced      bob's device of the session takes the group and ends the session on its old way
#   carol-first   carol has answered before bob
#   refuses       bob declines the group: the session stays
#   gone          bob's device is de-registered: the group comes about without bob
#   restart       the server is killed and started again, when this script asks for it, between steps 8 and 9
#
# In all of them bob's other device must not hear of the group. Exits with 0 when everybody got what the figure says.
# SERVER (127.0.0.1:5060), API (http://127.0.0.1:8080) and PORT (5082, the first of four) may be set.
set -eu
cd "$(dirname "$0")"
variant=${1:-replaced}
server=${SERVER:-127.0.0.1:5060}
api=${API:-http://127.0.0.1:8080}/api/v1
first=${PORT:-5082}
device=urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bb1

of_alice='' of_bob='' calls_of_bob=2
case $variant in
replaced) ;;
carol-first) of_bob='-d 1000' ;;
refuses) of_alice='-set stays 1' of_bob='-set refuses 1' ;;
gone) of_alice='-set gone 1' ;;
restart) of_alice='-set restart 1' of_bob="-set restart 1 -d ${WAIT:-20000}" ;;
*) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

work=$(mktemp -d)
pids=''
trap 'kill $pids 2>/dev/null || true; wait; rm -rf "$work"' EXIT
failed() { echo "$variant: $1" >&2; cat "$work"/*.errors 2>/dev/null >&2; exit 1; }
party() { # in a subshell, which it becomes: name, offset of its port, scenario, the rest
  name=$1 port=$((first + $2)) scenario=$3
  shift 3
  exec sipp -sf "$scenario.xml" -i 127.0.0.1 -p $port -nostdin -auth_uri ims.test -watchdog_interval 0 -trace_err -error_file "$work/$name.errors" "$@" >/dev/null 2>&1
}
registers() { # name, offset, user, Instance ID
  printf 'SEQUENTIAL\n%s;%s-secret;%s;%s\n' "$3" "$3" "$1" "$4" >"$work/$1.csv"
  (party "$1-registers" "$2" register "$server" -inf "$work/$1.csv" -m 1) || failed "$1 could not register"
}
until_api() { # path, what it must show
  n=0
  until curl -fsS "$api/$1" 2>/dev/null | grep -q "$2"; do
    n=$((n + 1))
    [ $n -lt 100 ] || failed "$1 never showed $2"
    sleep 0.1
  done
}

until_bound() { # offset: what is sent to a party before it listens is lost to it, and alice may hang up before it comes again
  [ -r /proc/net/udp ] || { sleep 1; return; }
  n=0
  until grep -q ":$(printf %04X $((first + $1))) " /proc/net/udp; do
    n=$((n + 1))
    [ $n -lt 100 ] || failed "nobody listens at port $((first + $1))"
    sleep 0.1
  done
}

registers alice 0 alice urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1
registers bob 1 bob $device
registers other 2 bob urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bb2
registers carol 3 carol urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bc3

party bob 1 group-extend-replaced -m $calls_of_bob -l 2 $of_bob & bob=$!
party other 2 group-extend-other -trace_logs -log_file "$work/other.log" & other=$!
party carol 3 invite-uas -m 1 & carol=$!
pids="$bob $other $carol"
for offset in 1 2 3; do until_bound $offset; done
party alice 0 group-extend "$server" -inf groups.csv -m 1 -l 1 $of_alice & alice=$!
pids="$pids $alice"

case $variant in
gone)
  until_api sessions contributionId
  curl -fsS -X DELETE -o /dev/null "$api/registrations/sip:bob@ims.test?instance=$device" || failed 'the device could not be de-registered'
  ;;
restart)
  until_api groups '"connected".*"connected".*"connected"'
  echo 'kill the server now, and start it again'
  ;;
esac

wait $alice || failed 'alice did not get what she should'
case $variant in
gone | restart) ;;
*) wait $bob || failed "bob's device did not get what it should" ;;
esac
# after a restart nobody ends the session of a process that is gone
[ $variant = restart ] || wait $carol || failed 'carol did not get what she should'
invited=$(cat "$work/other.log" 2>/dev/null | sort -u | grep -c . || true)
[ "$invited" = 1 ] || failed "bob's other device was invited $invited times"
echo "$variant: as in Figure 9"
