# What the cases are written with (bash, inside the dom0).
# shellcheck shell=bash
#
# A case runs under `set -eE`: a command that fails, fails the case, and the log says which.
# Time here is counted in instructions (see run-vm), so a wait is long in seconds only when what
# it waits for never comes.

# same WHAT GOT WANTED: the two are equal.
same() {
    local -; set +x
    [ "$2" = "$3" ] || { echo "$1: got '$2', wanted '$3'" >&2; return 1; }
}

# fails COMMAND...: the command fails, as it should.
fails() { if "$@"; then echo "'$*' succeeded" >&2; return 1; fi; }

# wait_for COMMAND...: until the command succeeds; half a minute of the machine's time at most.
wait_for() {
    local -; set +x
    local end=$((SECONDS + ${LIMIT:-30}))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "waited in vain for: $*" >&2; return 1; }
        sleep 0.1
    done
}

# fact WORDS...: a line for the reader of the run's report.
fact() { echo "@@FACT $*"; }

# --- links ---------------------------------------------------------------------------------

# new_bridge NAME [ADDRESS/LENGTH...]: a bridge that is up, with dom0's addresses on it.
new_bridge() {
    ip link add "$1" type bridge
    local address
    for address in "${@:2}"; do ip addr add "$address" dev "$1"; done
    ip link set "$1" up
}

# link DEVICE FIELD: one field of `ip -j -d link show`, as jq names it: `link vif1.0 mtu`.
link() { ip -j -d link show dev "$1" | jq -r ".[0].$2"; }

exists() { [ -e "/sys/class/net/$1" ]; }
gone() { ! exists "$1"; }
is_port() { [ -e "/sys/class/net/$1/brif/$2" ]; }

# --- guests --------------------------------------------------------------------------------

# new_guest NAME KIND ADDRESSES VIF...: write /tmp/NAME.cfg for xl.
#   KIND is pv or pvh; ADDRESSES as in guest/init; each VIF is what xl's vif= takes.
new_guest() {
    local name=$1 kind=$2 addresses=$3 vifs='' vif
    for vif in "${@:4}"; do vifs+="'$vif', "; done
    cat >"/tmp/$name.cfg" <<END
name = '$name'
type = '$kind'
kernel = '/guest/vmlinux'
ramdisk = '/guest/initrd.gz'
cmdline = 'console=hvc0 quiet cryptomgr.notests rodata=off xip=$addresses xname=$name'
memory = 192
maxmem = 192
vcpus = 1
vif = [ ${vifs%, } ]
END
    # An emulated TSC would cost a PVH guest an exit for each look at the clock.
    [ "$kind" != pvh ] || echo "tsc_mode = 'native'" >>"/tmp/$name.cfg"
}

# start NAME KIND ADDRESSES VIF...: write the configuration, create the guest, wait until it is up.
start() {
    new_guest "$@"
    xl create "/tmp/$1.cfg"
    guest_up "$1"
}

# guest_up NAME [N]: the guest has said so (N times, having been started as often).
guest_up() { wait_for booted "$1" "${2:-1}"; }
booted() { [ "$(grep -c "^@@GUEST-UP $1" "$(guest_log "$1")")" -ge "$2" ]; }
guest_log() { echo "/var/log/xen/console/guest-$1.log"; }

# in_guest NAME COMMAND...: run it in the guest's root shell; its output is in the guest's log.
in_guest() {
    local -; set +x
    local log tag="done-$RANDOM$RANDOM"
    log=$(guest_log "$1")
    printf '%s\necho @@%s-$?\n' "${*:2}" "$tag" >"$(xs "/local/domain/$(xl domid "$1")/console/tty")"
    wait_for grep -q "^@@$tag-[0-9]" "$log"
    return "$(sed -n "s/^@@$tag-\([0-9]*\).*/\1/p" "$log" | head -1)"
}

# vif NAME DEVID: what netback calls it.
vif() { echo "vif$(xl domid "$1").$2"; }

no_domain() { ! xl domid "$1" >/dev/null 2>&1; }

# reaches ADDRESS: dom0's ping is answered.
reaches() { wait_for ping -c1 -W1 "$1"; }

# --- XenStore ------------------------------------------------------------------------------

xs() { xenstore-read "$1"; }

# backend NAME DEVID, frontend NAME DEVID: the vif's directory on either side.
backend() { echo "/local/domain/0/backend/vif/$(xl domid "$1")/$2"; }
frontend() { echo "/local/domain/$(xl domid "$1")/device/vif/$2"; }

# connected NAME DEVID: both sides say so (4 is Connected).
connected() {
    wait_for both_connected "$(backend "$1" "$2")" "$(frontend "$1" "$2")"
    same hotplug-status "$(xs "$(backend "$1" "$2")/hotplug-status")" connected
}
both_connected() { [ "$(xs "$1/state")$(xs "$2/state")" = 44 ]; }
