# SPDX-License-Identifier: Apache-2.0
# bash completion for dibaoctl(1). Types and fields come from the program's own table, names and ids
# from the queue (with the -c, --redis and --bureau that stand on the line); without Redis there are
# just none. Plain bash: needs nothing of the package bash-completion.

_dibaoctl_ask()
{
	timeout 2 "${COMP_WORDS[0]}" "${_dibaoctl_common[@]}" "$@" 2>/dev/null </dev/null
}

_dibaoctl_fields()
{
	local type=$1
	_dibaoctl_ask types | awk -v type="$type" '
		/^[a-z_]+ /	{ here = type == "" || $1 == type || $1 == "every" }
		here && /^  --/	{ print $1 }'
}

# The value of option $1 among the words behind the verb.
_dibaoctl_value()
{
	local i
	for ((i = _dibaoctl_verb_at + 1; i + 1 < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == "$1" ]] && echo "${COMP_WORDS[i + 1]}" && return
	done
}

# Those of the lines in $1 that begin as the word at the cursor. Not compgen -W: that would expand
# what publishers wrote into their uids.
_dibaoctl_words()
{
	local word
	while IFS= read -r word; do
		[[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$(printf %q "$word")")
	done <<<"$1"
	return 0
}

_dibaoctl_files()
{
	compopt -o filenames
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

_dibaoctl_types()
{
	_dibaoctl_ask types | awk '/^[a-z_]+ \(/ { print $1 }'
}

_dibaoctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i verb=
	local _dibaoctl_verb_at=0 _dibaoctl_common=()
	local verbs="setup publish import retract correct tail status clients reload durable quarantine lost
schedule hide unhide receipts roster sms unserved audit keygen access types"

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config | --redis | --bureau | --endpoint | --control | --key | --server-key)
			_dibaoctl_common+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}")
			((i++))
			;;
		-*) ;;
		*)
			verb=${COMP_WORDS[i]}
			_dibaoctl_verb_at=$i
			break
			;;
		esac
	done
	case $prev in
	-c | --config | --control | --key | --out | --file | --passwords | --headings | --refused | --sms-config)
		_dibaoctl_files
		return
		;;
	--redis | --bureau | --server-key | --endpoint | --org | --since | --last | --until | --reason | --badge | --at | --price | --mailbox | --allow-removals | -n)
		return
		;;
	--type)
		_dibaoctl_words "$(_dibaoctl_types)"
		return
		;;
	--kind)
		_dibaoctl_words $'board\ngateway\nreader\npublisher-relay\nadmin'
		return
		;;
	--name)
		_dibaoctl_words "$(_dibaoctl_ask durable list | awk 'NF > 1 { print $1 }')"
		return
		;;
	esac
	case $verb in
	'')
		if [[ $cur == -* ]]; then
			_dibaoctl_words "$(printf '%s\n' $_dibaoctl_options)"
		else
			_dibaoctl_words "$(printf '%s\n' $verbs)"
		fi
		;;
	setup)
		if [[ $cur == -* ]]; then
			_dibaoctl_words $'--acl\n--apply\n--replace\n--passwords'
		else
			_dibaoctl_words "$(_dibaoctl_ask setup --acl | awk '/^ACL/ { print $3 }')"
		fi
		;;
	publish)
		_dibaoctl_words $'--type\n--endpoint\n--key\n--server-key\n'"$(_dibaoctl_fields "$(_dibaoctl_value --type)")"
		;;
	correct)
		[[ $cur == -* ]] && _dibaoctl_words "$(_dibaoctl_fields "")"
		;;
	retract) _dibaoctl_words "--reason"$'\n'"--uid" ;;
	tail) _dibaoctl_words $'--type\n--org\n--name\n--since\n--last\n--public\n-n\n--json' ;;
	status) _dibaoctl_words $'--watch\n--json\n--endpoint\n--key\n--server-key' ;;
	clients | reload) _dibaoctl_words $'--json\n--endpoint\n--key\n--server-key' ;;
	hide) _dibaoctl_words $'--badge\n--until' ;;
	audit) _dibaoctl_words $'--since\n--last\n--json' ;;
	unhide) _dibaoctl_words "--badge" ;;
	import)
		if [[ $cur == -* ]]; then
			_dibaoctl_words $'--type\n--set\n--uid-from\n--record\n--dry-run\n--print\n--headings\n--encoding\n--separator\n--format\n--zone\n--refused\n--restart\n--json'
		else
			_dibaoctl_files
		fi
		;;
	roster)
		if ((COMP_CWORD == _dibaoctl_verb_at + 1)) && [[ $cur == -* ]]; then
			_dibaoctl_words $'--reveal\n--json'
		elif ((COMP_CWORD == _dibaoctl_verb_at + 1)); then
			_dibaoctl_words $'import\nundo\nshow\nconfirm'
		elif [[ ${COMP_WORDS[_dibaoctl_verb_at + 1]} == import && $cur != -* ]]; then
			_dibaoctl_files
		elif [[ ${COMP_WORDS[_dibaoctl_verb_at + 1]} == import ]]; then
			_dibaoctl_words $'--delta\n--dry-run\n--allow-removals\n--headings\n--encoding\n--separator\n--format\n--refused\n--json'
		elif [[ ${COMP_WORDS[_dibaoctl_verb_at + 1]} == show ]]; then
			_dibaoctl_words $'--reveal\n--json'
		fi
		;;
	unserved) _dibaoctl_words $'--org\n--type\n--reason\n--mailbox\n-n\n--all\n--json' ;;
	sms)
		if [[ $cur == -* ]]; then
			case ${COMP_WORDS[_dibaoctl_verb_at + 1]} in
			queue | twice) _dibaoctl_words $'--all\n--json' ;;
			release) _dibaoctl_words $'--uid\n--json' ;;
			*) _dibaoctl_words $'--sms-config\n--at\n--price\n--without-roster\n--all\n--uid\n--json' ;;
			esac
		elif ((COMP_CWORD == _dibaoctl_verb_at + 1)); then
			_dibaoctl_words $'preview\nqueue\ntwice\nrelease\ndrop'
		else
			_dibaoctl_files
		fi
		;;
	keygen) _dibaoctl_words $'--kind\n--out\n--show\n--server' ;;
	access)
		if ((COMP_CWORD == _dibaoctl_verb_at + 1)) && [[ $cur != -* ]]; then
			_dibaoctl_words $'check\nreload'
		else
			_dibaoctl_words $'--type\n--org\n--file'
		fi
		;;
	durable | quarantine | lost | schedule)
		_dibaoctl_noun
		;;
	esac
}

_dibaoctl_noun()
{
	if [[ $verb == durable && $cur == -* ]]; then
		_dibaoctl_words '--board'
	elif ((COMP_CWORD == _dibaoctl_verb_at + 1)); then
		case $verb in
		durable) _dibaoctl_words $'list\nset\nforget' ;;
		quarantine) _dibaoctl_words $'list\nshow\nretry\ndrop' ;;
		lost) _dibaoctl_words $'list\nsettle' ;;
		schedule) _dibaoctl_words $'list\ncancel' ;;
		esac
	elif ((COMP_CWORD == _dibaoctl_verb_at + 2)) && [[ $prev != list ]]; then
		case $verb in
		durable | quarantine) _dibaoctl_words "$(_dibaoctl_ask "$verb" list | awk 'NF > 1 { print $1 }')" ;;
		lost) _dibaoctl_words "$(_dibaoctl_ask lost list | awk '/^[0-9]/ { print $1 }')" ;;
		schedule) _dibaoctl_words "$(_dibaoctl_ask schedule list | awk 'NF > 1 { print $NF }')" ;;
		esac
	fi
}

_dibaoctl_options="-c --config --redis --bureau --endpoint --control --key --server-key --json --help --version"
complete -F _dibaoctl dibaoctl
