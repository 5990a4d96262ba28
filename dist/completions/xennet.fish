# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_xennet_global_optspecs
    string join \n dry-run json v/verbose h/help V/version
end

function __fish_xennet_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_xennet_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_xennet_using_subcommand
    set -l cmd (__fish_xennet_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c xennet -n "__fish_xennet_needs_command" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_needs_command" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_needs_command" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_needs_command" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_needs_command" -s V -l version -d 'Print version'
complete -c xennet -n "__fish_xennet_needs_command" -f -a "hotplug" -d 'Do what a hotplug script does, from the same arguments and environment'
complete -c xennet -n "__fish_xennet_needs_command" -f -a "vif" -d 'Plug, unplug and show guests\' vifs'
complete -c xennet -n "__fish_xennet_needs_command" -f -a "bridge" -d 'Make, remove and show bridges'
complete -c xennet -n "__fish_xennet_needs_command" -f -a "guard" -d 'Show, check and restore what keeps guests to their own addresses'
complete -c xennet -n "__fish_xennet_needs_command" -f -a "network" -d 'Make, check and give back the host\'s own network: bridges, addresses, forwarding'
complete -c xennet -n "__fish_xennet_needs_command" -f -a "demo" -d 'Show it at work: two guests on a bridge, in namespaces of their own, without Xen'
complete -c xennet -n "__fish_xennet_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand hotplug" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand hotplug" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand hotplug" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand hotplug" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and not __fish_seen_subcommand_from online offline show list help" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and not __fish_seen_subcommand_from online offline show list help" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and not __fish_seen_subcommand_from online offline show list help" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and not __fish_seen_subcommand_from online offline show list help" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and not __fish_seen_subcommand_from online offline show list help" -f -a "online" -d 'Plug a vif in, or repair one; does nothing to one that is as it should be'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and not __fish_seen_subcommand_from online offline show list help" -f -a "offline" -d 'Unplug a vif'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and not __fish_seen_subcommand_from online offline show list help" -f -a "show" -d 'Show what a vif is, and what an online would change'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and not __fish_seen_subcommand_from online offline show list help" -f -a "list" -d 'List every vif'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and not __fish_seen_subcommand_from online offline show list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from online" -l mode -d 'What to plug it into: bridge, route or nat; by default what the script that XenStore names does' -r
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from online" -l tap -d 'The tap of an emulated NIC instead of the vif'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from online" -l no-store -d 'Do without XenStore: take the values from the command line, and tell nobody'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from online" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from online" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from online" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from online" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from offline" -l mode -d 'What to plug it into: bridge, route or nat; by default what the script that XenStore names does' -r
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from offline" -l tap -d 'The tap of an emulated NIC instead of the vif'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from offline" -l no-store -d 'Do without XenStore: take the values from the command line, and tell nobody'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from offline" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from offline" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from offline" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from offline" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from show" -l mode -d 'What to plug it into: bridge, route or nat; by default what the script that XenStore names does' -r
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from show" -l tap -d 'The tap of an emulated NIC instead of the vif'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from show" -l no-store -d 'Do without XenStore: take the values from the command line, and tell nobody'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from show" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from list" -l no-store -d 'Do without XenStore: list netback\'s interfaces'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from list" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from help" -f -a "online" -d 'Plug a vif in, or repair one; does nothing to one that is as it should be'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from help" -f -a "offline" -d 'Unplug a vif'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what a vif is, and what an online would change'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from help" -f -a "list" -d 'List every vif'
complete -c xennet -n "__fish_xennet_using_subcommand vif; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and not __fish_seen_subcommand_from create delete show list help" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and not __fish_seen_subcommand_from create delete show list help" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and not __fish_seen_subcommand_from create delete show list help" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and not __fish_seen_subcommand_from create delete show list help" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and not __fish_seen_subcommand_from create delete show list help" -f -a "create" -d 'Make a bridge and bring it up; one that exists keeps its settings'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and not __fish_seen_subcommand_from create delete show list help" -f -a "delete" -d 'Delete a bridge; one that is not there is no error'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and not __fish_seen_subcommand_from create delete show list help" -f -a "show" -d 'Show a bridge and its ports'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and not __fish_seen_subcommand_from create delete show list help" -f -a "list" -d 'List every bridge'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and not __fish_seen_subcommand_from create delete show list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from create" -l mac -d 'Its hardware address, kept whatever its ports are; one of this machine\'s own by default' -r
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from create" -l mtu -d 'Its MTU in bytes' -r
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from create" -l stp -d 'Run the spanning tree protocol'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from create" -l vlan-filtering -d 'Keep frames to their VLAN'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from create" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from create" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from delete" -l force -d 'Even if it still has ports'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from delete" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from delete" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from delete" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from show" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from list" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a bridge and bring it up; one that exists keeps its settings'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from help" -f -a "delete" -d 'Delete a bridge; one that is not there is no error'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a bridge and its ports'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from help" -f -a "list" -d 'List every bridge'
complete -c xennet -n "__fish_xennet_using_subcommand bridge; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -f -a "show" -d 'Show what guests may do, and what was dropped of what they sent'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -f -a "explain" -d 'Say which rule decides on a frame, by the rules that are in force'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -f -a "check" -d 'Check that every plugged vif is guarded as it should be; exit status 1 when not'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -f -a "restore" -d 'Put right what check finds'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -f -a "remove" -d 'Take the guard away, as before an uninstallation'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and not __fish_seen_subcommand_from show explain check restore remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from show" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l src-mac -d 'The Ethernet address that it comes from; by default the guest\'s own' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l dst-mac -d 'The Ethernet address that it goes to; by default everybody\'s' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l vlan -d 'A VLAN tag; given twice, the outer one first' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l src-ip -d 'The address that it comes from; the sender\'s, of ARP' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l dst-ip -d 'The address that it goes to; whom it asks for, of ARP' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l udp -d 'UDP between these ports' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l tcp -d 'TCP between these ports' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l icmp -d 'An ICMP or `ICMPv6` message of this type; this is what it is when nothing else is said' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l igmp -d 'An IGMP message of this type' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l arp -d 'ARP' -r -f -a "request\t''
reply\t''"
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l ns -d 'A neighbour solicitation of this address' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l na -d 'A neighbour advertisement of this address' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l ethertype -d 'A frame of another protocol, by its Ethertype (decimal, or 0x88cc)' -r
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from check" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from check" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from restore" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from restore" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from remove" -l force -d 'Even if it still guards vifs'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from remove" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what guests may do, and what was dropped of what they sent'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Say which rule decides on a frame, by the rules that are in force'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check that every plugged vif is guarded as it should be; exit status 1 when not'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Put right what check finds'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Take the guard away, as before an uninstallation'
complete -c xennet -n "__fish_xennet_using_subcommand guard; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "plan" -d 'Say what start would do'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "start" -d 'Make the host\'s network as the configuration says'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "confirm" -d 'Keep what start has made'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "watchdog" -d 'Take a start back unless it is confirmed: start itself calls it'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "stop" -d 'Give back what start took'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "status" -d 'Show each bridge, and what start would change; exit status 1 if it would change anything'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "check" -d 'Say nothing, and exit with status 0, if the network is as the configuration says'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "import" -d 'Print a xennet.toml made of the files of xend and xl'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "export" -d 'Print the configuration as files of ifupdown or systemd-networkd'
complete -c xennet -n "__fish_xennet_using_subcommand network; and not __fish_seen_subcommand_from plan start confirm watchdog stop status check import export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from plan" -l config -d 'The configuration, instead of /etc/xen/xennet.toml' -r -F
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from plan" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from plan" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from plan" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from plan" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from start" -l config -d 'The configuration, instead of /etc/xen/xennet.toml' -r -F
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from start" -l confirm-timeout -d 'Take all back unless `xennet network confirm` is called within so many seconds; 0: keep it at once. Default: 60, but 0 on a console of the machine itself' -r
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from start" -l probe-timeout -d 'Take all back when a gateway that answered before is silent for so many seconds' -r
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from start" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from start" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from start" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from confirm" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from confirm" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from confirm" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from confirm" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from watchdog" -l probe-timeout -r
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from watchdog" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from watchdog" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from watchdog" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from watchdog" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from stop" -l config -d 'The configuration, instead of /etc/xen/xennet.toml' -r -F
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from stop" -l force -d 'Even if guests are on a bridge that goes, or nothing says what there was before'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from stop" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from stop" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from status" -l config -d 'The configuration, instead of /etc/xen/xennet.toml' -r -F
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from status" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from status" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from check" -l config -d 'The configuration, instead of /etc/xen/xennet.toml' -r -F
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from check" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from check" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from import" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from import" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from export" -l config -d 'The configuration, instead of /etc/xen/xennet.toml' -r -F
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from export" -l to -d 'For which program' -r -f -a "ifupdown\t''
networkd\t''"
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from export" -l dir -d 'Write the files below this directory, as below /, instead of to standard output' -r -F
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from export" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from export" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "plan" -d 'Say what start would do'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "start" -d 'Make the host\'s network as the configuration says'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "confirm" -d 'Keep what start has made'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "watchdog" -d 'Take a start back unless it is confirmed: start itself calls it'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Give back what start took'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show each bridge, and what start would change; exit status 1 if it would change anything'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "check" -d 'Say nothing, and exit with status 0, if the network is as the configuration says'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "import" -d 'Print a xennet.toml made of the files of xend and xl'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "export" -d 'Print the configuration as files of ifupdown or systemd-networkd'
complete -c xennet -n "__fish_xennet_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand demo" -l dry-run -d 'Print the plan and change nothing'
complete -c xennet -n "__fish_xennet_using_subcommand demo" -l json -d 'Print JSON'
complete -c xennet -n "__fish_xennet_using_subcommand demo" -s v -l verbose -d 'Say on standard error what is done'
complete -c xennet -n "__fish_xennet_using_subcommand demo" -s h -l help -d 'Print help'
complete -c xennet -n "__fish_xennet_using_subcommand help; and not __fish_seen_subcommand_from hotplug vif bridge guard network demo help" -f -a "hotplug" -d 'Do what a hotplug script does, from the same arguments and environment'
complete -c xennet -n "__fish_xennet_using_subcommand help; and not __fish_seen_subcommand_from hotplug vif bridge guard network demo help" -f -a "vif" -d 'Plug, unplug and show guests\' vifs'
complete -c xennet -n "__fish_xennet_using_subcommand help; and not __fish_seen_subcommand_from hotplug vif bridge guard network demo help" -f -a "bridge" -d 'Make, remove and show bridges'
complete -c xennet -n "__fish_xennet_using_subcommand help; and not __fish_seen_subcommand_from hotplug vif bridge guard network demo help" -f -a "guard" -d 'Show, check and restore what keeps guests to their own addresses'
complete -c xennet -n "__fish_xennet_using_subcommand help; and not __fish_seen_subcommand_from hotplug vif bridge guard network demo help" -f -a "network" -d 'Make, check and give back the host\'s own network: bridges, addresses, forwarding'
complete -c xennet -n "__fish_xennet_using_subcommand help; and not __fish_seen_subcommand_from hotplug vif bridge guard network demo help" -f -a "demo" -d 'Show it at work: two guests on a bridge, in namespaces of their own, without Xen'
complete -c xennet -n "__fish_xennet_using_subcommand help; and not __fish_seen_subcommand_from hotplug vif bridge guard network demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from vif" -f -a "online" -d 'Plug a vif in, or repair one; does nothing to one that is as it should be'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from vif" -f -a "offline" -d 'Unplug a vif'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from vif" -f -a "show" -d 'Show what a vif is, and what an online would change'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from vif" -f -a "list" -d 'List every vif'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from bridge" -f -a "create" -d 'Make a bridge and bring it up; one that exists keeps its settings'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from bridge" -f -a "delete" -d 'Delete a bridge; one that is not there is no error'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from bridge" -f -a "show" -d 'Show a bridge and its ports'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from bridge" -f -a "list" -d 'List every bridge'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from guard" -f -a "show" -d 'Show what guests may do, and what was dropped of what they sent'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from guard" -f -a "explain" -d 'Say which rule decides on a frame, by the rules that are in force'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from guard" -f -a "check" -d 'Check that every plugged vif is guarded as it should be; exit status 1 when not'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from guard" -f -a "restore" -d 'Put right what check finds'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from guard" -f -a "remove" -d 'Take the guard away, as before an uninstallation'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "plan" -d 'Say what start would do'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "start" -d 'Make the host\'s network as the configuration says'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "confirm" -d 'Keep what start has made'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "watchdog" -d 'Take a start back unless it is confirmed: start itself calls it'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "stop" -d 'Give back what start took'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "status" -d 'Show each bridge, and what start would change; exit status 1 if it would change anything'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "check" -d 'Say nothing, and exit with status 0, if the network is as the configuration says'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "import" -d 'Print a xennet.toml made of the files of xend and xl'
complete -c xennet -n "__fish_xennet_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "export" -d 'Print the configuration as files of ifupdown or systemd-networkd'
